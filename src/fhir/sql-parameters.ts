/** Bound values of a statement that is put together from parts: each `add` gives the placeholder that stands for its value. */
export class SqlParameters {
  readonly values: unknown[] = [];

  /** `cast` names the PostgreSQL type, needed where the server cannot tell it from the place. */
  add(value: unknown, cast?: string): string {
    this.values.push(value);
    return cast ? `$${this.values.length}::${cast}` : `$${this.values.length}`;
  }
}
