import type { StepEnded } from '../src/flow/flow-runner.ts';

/** What is known of one study's way through the steps: which ends of steps are its own, and what is still under way. */
export class StudyThread {
  readonly taskIds: string[] = [];
  /** Ids of Tasks, reports and messages that the next step has not ended yet. */
  private readonly open = new Set<string>();
  /** Every id that belongs to the study. */
  private readonly own: Set<string>;

  constructor(studyInstanceUid: string) {
    this.own = new Set([studyInstanceUid]);
  }

  /** Takes note of a step's end; false when it is another study's. */
  takes({ step, end, handoff, next }: StepEnded): boolean {
    const from = idsOf(handoff);
    if (!from.some((id) => this.own.has(id))) return false;
    if (end === 'later') return false; // will be tried again: nothing has ended
    const to = idsOf(next ?? {});
    for (const id of to) this.own.add(id);
    if (step.startsWith('pacs-')) {
      this.objectsEnd(step, end, handoff);
      return true;
    }
    const [ended, started] = [threadOf(handoff), threadOf(next ?? {})];
    if (ended) this.open.delete(ended);
    if (started && end === 'done') this.open.add(started);
    // A report goes two ways at once: to the RIS, and into the PACS.
    if (step === 'report' && end === 'done') this.open.add(objectsOf(next ?? {}));
    const { taskId } = (next ?? {}) as { taskId?: string };
    if (taskId && !this.taskIds.includes(taskId)) this.taskIds.push(taskId);
    return true;
  }

  private objectsEnd(step: string, end: StepEnded['end'], handoff: object): void {
    if (step === 'pacs-store' || end !== 'done') this.open.delete(objectsOf(handoff));
  }

  isOver(): boolean {
    return this.taskIds.length > 0 && this.open.size === 0;
  }
}

const KEYS = ['studyInstanceUid', 'imagingStudyId', 'taskId', 'diagnosticReportId', 'messageId'] as const;

function idsOf(handoff: object): string[] {
  const fields = handoff as Partial<Record<string, string>>;
  return KEYS.flatMap((key) => fields[key] ?? []);
}

const objectsOf = (handoff: object): string =>
  `objects of ${(handoff as { diagnosticReportId?: string }).diagnosticReportId}`;

/** The id that names what is under way: a message, a report, or an analysis. */
function threadOf(handoff: object): string | null {
  const fields = handoff as Partial<Record<string, string>>;
  return fields['messageId'] ?? fields['diagnosticReportId'] ?? fields['taskId'] ?? null;
}
