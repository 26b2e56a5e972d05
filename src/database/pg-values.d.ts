/** The one part of `pg` inside that we call: how it writes values for the wire. */
declare module 'pg/lib/utils.js' {
  const utils: { prepareValue(value: unknown): string | Buffer | null };
  export default utils;
}
