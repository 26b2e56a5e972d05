import { sayStage } from './terminal.ts';

export interface TimelineEntry {
  readonly stage: string;
  /** ISO time. */
  readonly at: string;
  /** How long the stage itself took. */
  readonly ms: number;
  readonly detail: string;
}

/** What happened, in order: printed as it happens and kept for `--json`. */
export class Timeline {
  readonly entries: TimelineEntry[] = [];
  private readonly start = performance.now();

  add(mark: string, stage: string, detail: string, ms: number): void {
    this.entries.push({ stage, at: new Date().toISOString(), ms: Math.round(ms * 10) / 10, detail });
    sayStage(mark, performance.now() - this.start, stage, detail, ms);
  }
}
