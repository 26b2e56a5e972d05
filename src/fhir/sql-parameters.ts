/** Bound values of a statement that is put together from parts: each `add` gives the placeholder that stands for its value. */
export class SqlParameters {
  readonly values: unknown[] = [];

  /** `cast` names the PostgreSQL type, needed where the server cannot tell it from the place. */
  add(value: unknown, cast?: string): string {
    this.values.push(value);
    return cast ? `$${this.values.length}::${cast}` : `$${this.values.length}`;
  }

  /**
   * A name out of a fixed table (a resource type, the code of a search parameter) as a literal: statements differ by it anyway, and the planner
   * may know it. Anything that is not spelled like one is bound.
   */
  name(name: string): string {
    return /^_?[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name) ? `'${name}'` : this.add(name, 'text');
  }
}
