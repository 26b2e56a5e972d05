/**
 * Lets so many works run beside each other; the others wait in the order in which they came. One that takes longer than the patience goes on, and gives
 * its place to the next: what waits for somebody else does not hold up everybody.
 */
export class Places {
  private taken = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly places: number,
    private readonly patienceMs: number,
  ) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.taken < this.places) this.taken += 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    let holds = true;
    const leave = (): void => {
      if (holds) this.passOn();
      holds = false;
    };
    const patience = setTimeout(leave, this.patienceMs);
    try {
      return await work();
    } finally {
      clearTimeout(patience);
      leave();
    }
  }

  private passOn(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.taken -= 1;
  }
}
