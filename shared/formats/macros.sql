-- Encoders as DuckDB macros. Null stays null in csv_*, and is null's text in json_*.

-- The quotation mark on each side of a text.
create or replace temp macro csv_mark(x) as case when x is not null then '"' end;

-- What stands between them. A text that starts like a letter and holds no quote needs no look at the guard: most texts.
create or replace temp macro csv_guarded(x) as case
    when x >= 'A' and x < '＋' and not contains(x, '"') then x
    when regexp_matches(x, '^''*[=+\-@\t\r\n＝＋－＠]') then '''' || replace(x, '"', '""')
    else replace(x, '"', '""') end;

create or replace temp macro csv_plain(x) as case when contains(x, '"') then replace(x, '"', '""') else x end;

-- A list as one text; an empty list is null, and so is null. An entry that is null is empty.
create or replace temp macro joined(x) as case
    when len(x) > 0 then array_to_string(list_transform(x, lambda entry: coalesce(entry, '')), ',') end;

create or replace temp macro json_text(x) as coalesce(to_json(x)::varchar, 'null');

-- A text in which nothing but a quotation mark means anything to JSON.
create or replace temp macro json_quiet(x) as coalesce(case when contains(x, '"') then to_json(x)::varchar else '"' || x || '"' end, 'null');

create or replace temp macro json_texts(x) as coalesce(to_json(x)::varchar, 'null');

-- to_json escapes what JSON must escape and no more, but writes \u001F where the contract writes \u001f. Escaped backslashes step aside
-- (U+0001 is in no JSON text), so that a text that holds "\u001F" itself stays as it is. Applied once, to a whole line.
create or replace temp macro lower_escapes(x) as case when contains(x, '\u00') then
    replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(x, '\\', chr(1)),
        '\u000B', '\u000b'), '\u000E', '\u000e'), '\u000F', '\u000f'), '\u001A', '\u001a'), '\u001B', '\u001b'), '\u001C', '\u001c'),
        '\u001D', '\u001d'), '\u001E', '\u001e'), '\u001F', '\u001f'), chr(1), '\\')
    else x end;

create or replace temp macro utc_seconds(x) as strftime(make_timestamp(epoch_us(x)), '%Y-%m-%dT%H:%M:%SZ');

-- Transcripts. A line break of any kind (CRLF, CR, LF, VT, FF, NEL, U+2028, U+2029) becomes a line feed and two spaces.
create or replace temp macro one_line(x) as regexp_replace(x, '\r\n|[\r\n\x0b\x0c\x{85}\x{2028}\x{2029}]', chr(10) || '  ', 'g');

create or replace temp macro first_word(x) as nullif(regexp_extract(x, '[^\s\pZ\x0b\x1c-\x1f\x{85}]+'), '');

-- Array literal of the texts of a column in order, for PostgreSQL; null is left out.
create or replace temp macro array_text_by(x, place) as
    '{' || coalesce(string_agg('"' || replace(replace(x, '\', '\\'), '"', '\"') || '"', ',' order by place), '') || '}';
create or replace temp macro array_text(x) as
    array_text_by(x, x);
