-- Cells of a sheet as XML. A cell has no reference of its own: it stands behind the one before it, so one without a value is there too.

-- Whether the texts in x, with bars between them, are short, and nothing in them means anything to XML or is white space to be kept at an end. A backslash in
-- the JSON text is a control character, a quotation mark or itself: that some texts are looked at closely without need is faster than a regular expression.
create or replace temp macro xml_quiet(j) as not (strlen(j) > 32767 or contains(j, '\') or contains(j, '&') or contains(j, '<') or contains(j, '>')
    or contains(j, '_x') or contains(j, '| ') or contains(j, ' |'));
create or replace temp macro xml_plain(x) as xml_quiet(to_json(x)::varchar);

-- There: whether the cell has a text.
create or replace temp macro xml_open(there) as case when there then '<c t="inlineStr"><is><t>' else '<c/>' end;
create or replace temp macro xml_open_kept(there) as case when there then '<c t="inlineStr"><is><t xml:space="preserve">' else '<c/>' end;
create or replace temp macro xml_close(there) as case when there then '</t></is></c>' end;

-- What XML can't hold is written as _xHHHH_, and so is the underscore of a text that looks like that. A carriage return would become a line feed.
-- The escapes of control characters are for several cells at once, which hold no other: DuckDB plans them anew for every chunk.
create or replace temp macro xml_controls(x) as case when regexp_matches(x, '[\x01-\x08\x0b-\x1f]') then {controls} else x end;
create or replace temp macro xml_finished(line) as case
    when contains(line, chr(65534)) or contains(line, chr(65535)) then replace(replace(line, chr(65534), '_xFFFE_'), chr(65535), '_xFFFF_') else line end;
create or replace temp macro xml_escaped(x) as replace(replace(replace(
    regexp_replace(x, '_(x[0-9A-Fa-f]{4})', '_x005F_\1', 'g'), '&', '&amp;'), '<', '&lt;'), '>', '&gt;');

-- A text is at most 32,767 UTF-16 code units long. Nothing is cut: what is longer ends the chunk, with the column and the row's id.
create or replace temp macro utf16_units(x) as length(x) + length(regexp_replace(x, '[^\x{10000}-\x{10FFFF}]', '', 'g'));
create or replace temp macro xml_text(x, header, row_id) as case
    when strlen(x) > 32767 and utf16_units(x) > 32767 then error('cell_too_long ' || to_json([header, row_id::varchar])::varchar)
    else xml_escaped(x) end;

create or replace temp macro xml_number(x) as case when x is not null then concat('<c><v>', x, '</v></c>') else '<c/>' end;
create or replace temp macro xml_boolean(x) as case
    when x then '<c t="b"><v>1</v></c>' when not x then '<c t="b"><v>0</v></c>' else '<c/>' end;
create or replace temp macro xml_value(x) as case
    when x = 'true' or x = 'false' then xml_boolean(x = 'true') else xml_number(nullif(x, 'null')) end;

-- Days since 1899-12-30, which is how a spreadsheet counts from 1900-03-01 to 9999. t: milliseconds since then on the clock that the cell shows.
create or replace temp macro xml_instant(x, t, shown) as case
    when t between 5270400000 and 255611462399999 then concat('<c s="2"><v>', t / 86400000, '</v></c>')
    when x is not null then concat('<c t="inlineStr"><is><t>', shown, '</t></is></c>')
    else '<c/>' end;
create or replace temp macro xml_date(d) as case
    when d >= date '1900-03-01' and d < date '10000-01-01' then concat('<c s="3"><v>', d - date '1899-12-30', '</v></c>')
    when d is not null then concat('<c t="inlineStr"><is><t>', d, '</t></is></c>')
    else '<c/>' end;
