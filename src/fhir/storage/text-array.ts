/**
 * A `text[]` as PostgreSQL takes it in binary form (`array_recv`): dimensions, whether there are nulls, type of the elements, size, lower bound; then
 * length and UTF-8 of each. As text every quotation mark of a JSON would be escaped here and read character by character there, which was a twentieth of
 * the cost of a write on either side. The parameter must be a `text[]`.
 */
export function textArray(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, HEADER_BYTES));
  bytes.writeInt32BE(texts.length === 0 ? 0 : 1, 0);
  bytes.writeInt32BE(0, 4);
  bytes.writeInt32BE(TEXT_OID, 8);
  if (texts.length === 0) return bytes.subarray(0, EMPTY_BYTES);
  bytes.writeInt32BE(texts.length, 12);
  bytes.writeInt32BE(1, 16);
  let at = HEADER_BYTES;
  for (const [which, text] of texts.entries()) {
    at = bytes.writeInt32BE(lengths[which] as number, at);
    at += bytes.write(text, at);
  }
  return bytes;
}

/** With one dimension; without any. */
const HEADER_BYTES = 20;
const EMPTY_BYTES = 12;
/** Of `text`, in PostgreSQL's catalog (pg_type.dat). */
const TEXT_OID = 25;
