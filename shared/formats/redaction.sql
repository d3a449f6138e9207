-- Checks of what patterns found, and pseudonyms, as DuckDB macros. A macro's text goes where it is called: no lambda has a parameter of another's name. The keys of pseudonyms are variables of the connection, set for a chunk.

create or replace temp macro digit(d, i) as ascii(substr(d, length(d) - i, 1)) - 48;
create or replace temp macro luhn(d) as list_sum(list_transform(range(length(d)), lambda place:
    case when place % 2 = 0 then digit(d, place) else 2 * digit(d, place) - case when digit(d, place) > 4 then 9 else 0 end end)) % 10 = 0;

create or replace temp macro is_card(d) as length(d) between 13 and 19 and d >= '2' and d < '7' and luhn(d);

-- Whether neighbouring groups of digits make a card's number together.
create or replace temp macro groups_hold_card(g) as list_bool_or(list_transform(range(1, len(g) + 1), lambda i:
    list_bool_or(list_transform(range(i, least(i + 19, len(g) + 1)), lambda j: is_card(array_to_string(g[i:j], ''))))));
create or replace temp macro holds_card(m) as groups_hold_card(regexp_extract_all(m, '[0-9]+'));

create or replace temp macro iban_moved(s) as substr(s, 5) || left(s, 4);
create or replace temp macro is_iban(m) as list_reduce(
    list_transform(string_split(iban_moved(upper(regexp_replace(m, '[ -]', '', 'g'))), ''), lambda c: ascii(c) - case when c < 'A' then 48 else 55 end::bigint),
    lambda a, c: (a * case when c > 9 then 100 else 10 end + c) % 97) = 1;

-- IPv6: eight groups, or two that stand apart from each other. Times of a day have colons too.
create or replace temp macro is_ip_address(m) as not contains(m, ':') or (contains(m, '::') and len(regexp_extract_all(m, '[0-9a-fA-F.]+')) between 2 and 7)
    or len(regexp_extract_all(m, '[0-9a-fA-F]+')) = 8;

-- Not a date, with or without its hour.
create or replace temp macro is_phone(m) as not regexp_full_match(m, '0[1-9][/.-]([0-9]{1,2}[/.-])?(19|20)[0-9]{2}( [0-9]{1,2})?');

-- HMAC-SHA-256, of which 128 bits are plenty.
create or replace temp macro pseudonym(x) as 'p_' || left(sha256(getvariable('pseudonym_outer')::blob || unhex(sha256(getvariable('pseudonym_inner')::blob || encode(x)))), 32);

-- A text's beginning: three characters, or a third of it.
create or replace temp macro beginning(x) as left(x, least(3, length(x) // 3)::bigint) || '…';

create or replace temp macro year_of(x) as case when regexp_matches(x, '^[0-9]{4}-[0-9]{2}(-[0-9]{2}([T ]|$)|$)') then left(x, 4) when x is not null then '[REDACTED]' end;

-- The parts of a JSON text, which together are all of it: keys with their colon, strings, numbers and words, marks.
create or replace temp macro json_tokens(x) as regexp_extract_all(x, '"(?:[^"\\]|\\.)*":?|[^"{}\[\],]+|[{}\[\],]');
create or replace temp macro token_value(t) as case
    when starts_with(t, '"') then case when not ends_with(t, ':') then json_extract_string(t, '$') end
    when regexp_matches(t, '^-?[0-9]') then t end;
create or replace temp macro token_with(t, v) as case when v is null or v = t then t else json_text(v) end;
