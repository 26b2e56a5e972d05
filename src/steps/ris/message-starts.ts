interface Asked<T> {
  readonly id: string;
  readonly lane: string;
  readonly resolve: (row: T | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Lanes whose turn comes at the same moment are asked for in one statement; each still has its own answer. */
export class MessageStarts<T extends { readonly id: string }> {
  private waiting: Asked<T>[] = [];

  constructor(private readonly run: (ids: string[], lanes: string[]) => Promise<T[]>) {}

  /** Null when the statement gave no row for it. */
  start(id: string, lane: string): Promise<T | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ id, lane, resolve, reject });
      if (this.waiting.length === 1) setImmediate(() => void this.ask());
    });
  }

  private async ask(): Promise<void> {
    const asked = this.waiting;
    this.waiting = [];
    try {
      const rows = await this.run(
        asked.map((one) => one.id),
        asked.map((one) => one.lane),
      );
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const one of asked) one.resolve(byId.get(one.id) ?? null);
    } catch (error) {
      for (const one of asked) one.reject(error);
    }
  }
}
