-- Cells of a sheet as XML. A cell has no reference of its own: it stands behind the one before it, so one without a value is there too.
-- Where a macro names its argument many times, a lambda does: DuckDB would bind the argument as often, anew for every chunk.

-- Whether the texts in x, with bars between them, are short, and nothing in them means anything to XML or is white space to be kept at an end. A backslash in
-- the JSON text is a control character, a quotation mark or itself: that some texts are looked at closely without need is faster than a regular expression.
create or replace temp macro xml_plain(x) as list_transform([to_json(x)::varchar], lambda j: not (strlen(j) > 32767 or contains(j, '\') or contains(j, '&')
    or contains(j, '<') or contains(j, '>') or contains(j, '_x') or contains(j, '| ') or contains(j, ' |') or contains(j, chr(65534)) or contains(j, chr(65535))))[1];

-- What stands before a text and behind it. An empty one is a string within its cell, as some readers take any other for no text.
create or replace temp macro xml_empty() as '<c t="inlineStr"><is><t></t></is></c>';
create or replace temp macro xml_open(x) as case when x <> '' then '<c t="str"><v>' when x is null then '<c/>' else xml_empty() end;
create or replace temp macro xml_close(x) as case when x <> '' then '</v></c>' end;

-- What XML can't hold is written as _xHHHH_, and so is the underscore of a text that looks like that. A carriage return would become a line feed.
create or replace temp macro xml_controls(x) as case when regexp_matches(x, '[\x01-\x08\x0b-\x1f\x{fffe}\x{ffff}]') then {controls} else x end;
create or replace temp macro xml_escaped(x) as case when regexp_matches(x, '[\x01-\x08\x0b-\x1f&<>\x{fffe}\x{ffff}]|_x') then xml_controls(
    replace(replace(replace(regexp_replace(x, '_(x[0-9A-Fa-f]{4})', '_x005F_\1', 'g'), '&', '&amp;'), '<', '&lt;'), '>', '&gt;')) else x end;

-- A text is at most 32,767 UTF-16 code units long. Nothing is cut: what is longer ends the chunk, with the column and the row's id.
create or replace temp macro utf16_units(x) as length(x) + length(regexp_replace(x, '[^\x{10000}-\x{10FFFF}]', '', 'g'));
-- A CASE, as an OR would count the units of every text.
create or replace temp macro xml_fits(x) as case when strlen(x) <= 32767 then true else utf16_units(x) <= 32767 end;

-- A text that is looked at by itself: what needs no care is written as where none does.
create or replace temp macro xml_text(x, header, row_id) as case
    when x is null then '<c/>' when x = '' then xml_empty()
    when not xml_fits(x) then error('cell_too_long ' || to_json([header, row_id::varchar])::varchar)
    when regexp_matches(x, '[\x01-\x1f&<>\x{fffe}\x{ffff}]|_x|^ | $') then concat('<c t="inlineStr"><is><t xml:space="preserve">', xml_escaped(x), '</t></is></c>')
    else concat('<c t="str"><v>', x, '</v></c>') end;
-- Adjacent ones: bound once, but made ready anew for every vector of rows.
create or replace temp macro xml_texts(texts, headers, row_id) as array_to_string(list_transform(texts, lambda x, i: xml_text(x, headers[i], row_id)), '');

create or replace temp macro xml_number(x) as case when x is not null then concat('<c><v>', x, '</v></c>') else '<c/>' end;
create or replace temp macro xml_boolean(x) as case
    when x then '<c t="b"><v>1</v></c>' when not x then '<c t="b"><v>0</v></c>' else '<c/>' end;
create or replace temp macro xml_value(x) as case
    when x = 'true' or x = 'false' then xml_boolean(x = 'true') else xml_number(nullif(x, 'null')) end;
-- A custom property: a text, an object or a list as its JSON, or a value. `cell`: a text's.
create or replace temp macro xml_property(x, cell) as case when left(x, 1) in ('"', '[', '{') then cell else xml_value(x) end;
create or replace temp macro xml_property_text(x) as case when starts_with(x, '"') then x->>'$' else lower_escapes(x) end;
-- The same of a JSON that has no backslash.
create or replace temp macro xml_property_plain(x) as case when x = '""' then xml_empty()
    else concat('<c t="str"><v>', case when starts_with(x, '"') then replace(x, '"', '') else x end, '</v></c>') end;

-- Days since 1899-12-30, which is how a spreadsheet counts from 1900-03-01 to 9999. `days`: on the clock that the cell shows,
-- which most instants needn't be asked.
create or replace temp macro xml_instant(x, days, shown) as case
    when x between timestamptz '1900-03-02 00:00:00+00' and timestamptz '9999-12-30 23:59:59.999+00' then concat('<c s="2"><v>', days, '</v></c>')
    when days >= 61 and days < 2958466 then concat('<c s="2"><v>', days, '</v></c>')
    when x is not null then concat('<c t="str"><v>', shown, '</v></c>')
    else '<c/>' end;
create or replace temp macro xml_date(d) as case
    when d >= date '1900-03-01' and d < date '10000-01-01' then concat('<c s="3"><v>', d - date '1899-12-30', '</v></c>')
    when d is not null then concat('<c t="str"><v>', d, '</v></c>')
    else '<c/>' end;
