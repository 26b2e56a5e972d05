import type { Statement } from '../../database/database.ts';

/**
 * The statements of a write. Rows come as one array per column, so that a report with fifteen Observations is one statement.
 * A text[] column cannot be a column of arrays (unnest would flatten it): the token lists come as array literals and are cast.
 */

/** Locks the rows that will change, always in the same order, so that two writes cannot wait for each other. */
export const LOCK_TEXT = `
  SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.content
  FROM resource r JOIN unnest($1::text[], $2::text[]) AS w(type, id) ON r.type = w.type AND r.id = w.id`;
export const LOCK_ORDER = ' ORDER BY r.type, r.id FOR UPDATE OF r';

/** Moves the superseded versions away, writes the new ones, clears their search rows. Gives back what it changed. */
export const SUPERSEDE: Statement = {
  name: 'fhir-supersede',
  text: `
  WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::bool[], $7::text[], $8::text[], $9::text[])
      AS w(type, id, supersedes, version, last_updated, deleted, method, content, tokens)
  ), kept AS (
    INSERT INTO resource_version (type, id, version, last_updated, deleted, method, content)
    SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.content
    FROM resource r JOIN w ON r.type = w.type AND r.id = w.id AND r.version = w.supersedes
  ), dates AS (
    DELETE FROM search_date s USING w WHERE s.type = w.type AND s.id = w.id
  ), strings AS (
    DELETE FROM search_string s USING w WHERE s.type = w.type AND s.id = w.id
  ), numbers AS (
    DELETE FROM search_number s USING w WHERE s.type = w.type AND s.id = w.id
  ), quantities AS (
    DELETE FROM search_quantity s USING w WHERE s.type = w.type AND s.id = w.id
  )
  UPDATE resource r
  SET version = w.version, last_updated = w.last_updated, deleted = w.deleted, method = w.method,
      content = w.content, tokens = w.tokens::text[]
  FROM w WHERE r.type = w.type AND r.id = w.id AND r.version = w.supersedes
  RETURNING r.id`,
};

/** New resources, and the search rows of everything that was written. */
export const INSERT: Statement = {
  name: 'fhir-insert',
  text: `
  WITH dates AS (
    INSERT INTO search_date (type, id, param, lo, hi)
    SELECT * FROM unnest($8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])
  ), strings AS (
    INSERT INTO search_string (type, id, param, value, exact)
    SELECT * FROM unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
  ), numbers AS (
    INSERT INTO search_number (type, id, param, lo, hi)
    SELECT * FROM unnest($18::text[], $19::text[], $20::text[], $21::numeric[], $22::numeric[])
  ), quantities AS (
    INSERT INTO search_quantity (type, id, param, lo, hi, system, code, unit)
    SELECT * FROM unnest($23::text[], $24::text[], $25::text[], $26::numeric[], $27::numeric[], $28::text[], $29::text[], $30::text[])
  )
  INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
  SELECT w.type, w.id, w.version, w.last_updated, false, w.method, w.content, w.tokens::text[]
  FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
    AS w(type, id, version, last_updated, method, content, tokens)`,
};
