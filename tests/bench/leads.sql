-- An organisation's leads, written straight into the tables by SQL: :org_id and :leads are given. Names as they are met, so common ones are common;
-- companies by a rank (a few with thousands of leads, most with a few); addresses of one's company or of a free-mail host; custom fields of some.
-- Two in three have a score. Deterministic.
SET synchronous_commit = off;
SET work_mem = '256MB';
BEGIN;
CREATE TEMP TABLE words AS SELECT
    array['James','Mary','Robert','Patricia','John','Jennifer','Michael','Linda','David','Elizabeth','William','Barbara','Richard','Susan','Joseph','Jessica',
     'Thomas','Sarah','Charles','Karen','Daniel','Nancy','Matthew','Lisa','Anthony','Betty','Mark','Sandra','Donald','Ashley','Steven','Emily','Paul','Kimberly',
     'Andrew','Donna','Joshua','Michelle','Zoë','Łukasz','Søren','Ana','Björn','Chloé','Dmitri','Eszter','Fatima','Giulia','Hiroshi','Ingrid','Jürgen','Kofi',
     'Lucía','Mehmet','Noor','Oluwaseun','Priya','Quentin','Rajesh','Sofía','Tomasz','Ulla','Viktor','Wei','Xavier','Yuki','Zofia'] AS first,
    array['Smith','Johnson','Williams','Brown','Jones','Garcia','Miller','Davis','Rodriguez','Martinez','Hernandez','Lopez','Gonzalez','Wilson','Anderson','Taylor',
     'Moore','Jackson','Martin','Lee','Perez','Thompson','White','Harris','Sanchez','Clark','Ramirez','Lewis','Robinson','Walker','Young','Allen','King','Wright',
     'Scott','Torres','Nguyen','Hill','Flores','Green','Adams','Nelson','Baker','Hall','Rivera','Campbell','Mitchell','Carter','Roberts','Chen','Kowalski','Müller'] AS last,
    array['Acme','North','Blue','Global','Bright','Green','Prime','Next','Open','Cloud','Data','Metro','Silver','River','Summit','Vertex','Quantum','Pioneer','Harbor',
     'Atlas','Nova','Orion','Apex','Delta','Echo'] AS one,
    array['Logistics','Systems','Labs','Foods','Health','Energy','Partners','Media','Software','Bank','Motors','Studio','Retail','Works','Solutions','Travel'] AS two,
    array['ba','ce','di','fo','gu','ka','le','mi','no','pu','ra','se','ti','vo','zu','xa'] AS part;
CREATE TEMP TABLE drafts AS
SELECT n, md5('lead' || n) AS luck, first[1 + floor(cardinality(first) * power(('x' || substr(md5('f' || n), 1, 8))::bit(32)::bigint::float8 / 4294967296, 1.5))::int] AS first,
       CASE WHEN n % 4 = 0 THEN initcap(part[1 + n * 7919::bigint % 16] || part[1 + n / 16 % 16] || part[1 + n / 256 % 16] || part[1 + n / 4096 % 16])
            ELSE last[1 + floor(cardinality(last) * power(('x' || substr(md5('l' || n), 1, 8))::bit(32)::bigint::float8 / 4294967296, 1.5))::int] END AS last,
       floor(40000 * power(('x' || substr(md5('c' || n), 1, 8))::bit(32)::bigint::float8 / 4294967296, 2))::int AS company
FROM generate_series(1, :leads) n CROSS JOIN words;
CREATE TEMP TABLE named AS
SELECT d.*, one[1 + company % 25] || ' ' || two[1 + company / 25 % 16] || CASE WHEN company >= 400
       THEN ' ' || initcap(part[1 + company / 400 % 16] || part[1 + company / 6400 % 16] || part[1 + company % 16]) ELSE '' END AS at
FROM drafts d CROSS JOIN words;
INSERT INTO ingest.leads (org_id, id, email, name, company, title, phone, status, source, tags, custom_properties, first_seen_at, last_activity_at, created_at, updated_at)
SELECT :'org_id', 'lead_01' || upper(substr(luck, 1, 24)),
       lower(first || '.' || last || n % 1000 || '@' || CASE WHEN n % 3 = 0 THEN (array['gmail', 'outlook', 'yahoo'])[1 + n / 3 % 3] ELSE replace(at, ' ', '') END || '.example'),
       first || ' ' || last, at, (array['CTO', 'VP of Sales', 'Head of Support', 'Engineer', NULL])[1 + n % 5], '+1-555-' || lpad((n % 10000)::text, 4, '0'),
       (array['new', 'new', 'new', 'qualified', 'contacted', 'contacted', 'converted', 'lost'])[1 + n % 8], (array['chat', 'chat', 'import', 'form', 'api'])[1 + n % 5],
       array['inbound'], CASE WHEN n % 2 = 0 THEN '{"industry":"' || (array['SaaS', 'FinTech', 'Health', 'Retail', 'Energy'])[1 + n % 5] || '","teamSize":"50-100"}' ELSE '{}' END,
       at_, at_ + n % 90 * interval '1 day', at_, at_ + n % 60 * interval '1 day'
FROM (SELECT *, timestamptz '2024-01-01 00:00Z' + n * interval '40 seconds' AS at_ FROM named) d;
INSERT INTO ingest.lead_scores (org_id, id, score, reasons, model_version)
SELECT :'org_id', 'lead_01' || upper(substr(luck, 1, 24)), n * 7919::bigint % 101, '[]', 1 FROM drafts WHERE n % 3 > 0;
INSERT INTO ingest.lead_lookup (org_id, id, print, email_key, words)
SELECT org_id, id, 0, ingest.email_key(email), ingest.lead_words(org_id, name, email, company, custom_properties, status) FROM ingest.leads_current WHERE org_id = :'org_id';
COMMIT;
VACUUM (ANALYZE) ingest.leads, ingest.lead_scores, ingest.lead_lookup;
