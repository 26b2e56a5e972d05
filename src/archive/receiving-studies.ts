/**
 * Studies that a STOW request under way has brought instances of. A request commits in steps, so the index shows a study before the request
 * has brought all of it; who asks whether the study is complete must know that more is on its way. This process only: elsewhere the quiet
 * time must be longer than a step takes.
 */
export class ReceivingStudies {
  private readonly requests = new Map<string, number>();

  has(studyInstanceUid: string): boolean {
    return this.requests.has(studyInstanceUid);
  }

  /** For one request. */
  begin(): { readonly bring: (studyInstanceUid: string) => void; readonly end: () => void } {
    const brought = new Set<string>();
    return {
      bring: (study) => {
        if (brought.has(study)) return;
        brought.add(study);
        this.requests.set(study, (this.requests.get(study) ?? 0) + 1);
      },
      end: () => {
        for (const study of brought) {
          const others = (this.requests.get(study) ?? 1) - 1;
          if (others > 0) this.requests.set(study, others);
          else this.requests.delete(study);
        }
        brought.clear();
      },
    };
  }
}
