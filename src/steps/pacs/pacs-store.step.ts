import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { INSTANCE_STORE, type InstanceStore, type StoreResult } from '../../dicom/instance-store.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PacsObjectsMade } from '../../kernel/handoffs.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import { type FailureReasonName, nameOfReason } from './failure-reasons.ts';
import { type ObjectKind, PacsObjectStore, type WaitingObject } from './pacs-object.store.ts';

/** First wait after a failure; doubled with each further one. */
export const STORE_RETRY_FIRST_MS = 1_000;
/** A PACS that comes back is noticed within this time. */
export const STORE_RETRY_MAX_MS = 60_000;
/** A PACS that answers "not now" so often (about ten minutes) has a fault that somebody must see to. */
export const STORE_ANSWERS_MAX = 15;

/**
 * Stores the objects of one report version in the PACS: the same bytes under the same UIDs, however often it takes. The lane holds back
 * later objects of the study until these have ended.
 */
@Injectable()
export class PacsStoreStep implements Step<PacsObjectsMade, PacsObjectsMade> {
  readonly name = 'pacs-store';

  constructor(
    @Inject(INSTANCE_STORE) private readonly pacs: InstanceStore,
    private readonly objects: PacsObjectStore,
    private readonly database: Database,
  ) {}

  async run(handoff: PacsObjectsMade): Promise<StepResult<PacsObjectsMade>> {
    const waiting = await this.objects.waiting(handoff.diagnosticReportId, handoff.versionId);
    if (waiting.length === 0) return skipped('the PACS has the objects of this version');
    const uids = waiting.map((one) => one.sopInstanceUid);
    await this.objects.sending(uids);
    try {
      const files = waiting.map((one) => one.bytes);
      const result = await this.pacs.store(handoff.studyInstanceUid, files);
      return await this.afterAnswer(handoff, waiting, result);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.objects.failed(this.database, uids, 'waiting', error.code);
      // Away, busy, or its disk is full: nothing is lost by waiting, and nothing overtakes in the lane.
      if (error.retry) return later(waitAfter(attemptsOf(waiting)), error.code);
      return givenUp(`${error.code}: ${error.message}`);
    }
  }

  private async afterAnswer(
    handoff: PacsObjectsMade,
    sent: readonly WaitingObject[],
    result: StoreResult,
  ): Promise<StepResult<PacsObjectsMade>> {
    const stored = new Set(result.stored);
    const kept = sent.filter((one) => stored.has(one.sopInstanceUid)).map((one) => one.sopInstanceUid);
    const left = sent.filter((one) => !stored.has(one.sopInstanceUid)).map((one) => refusalOf(one, result));
    if (left.length === 0)
      return done<PacsObjectsMade>(handoff, { write: (tx) => this.objects.stored(tx, kept) });
    const mayPass = left.filter(({ reason }) => reason.passes);
    const attempts = attemptsOf(sent);
    if (mayPass.length > 0 && attempts < STORE_ANSWERS_MAX) {
      await this.objects.stored(this.database, kept);
      for (const one of left)
        await this.objects.failed(this.database, [one.sopInstanceUid], 'waiting', one.reason.text);
      return later(waitAfter(attempts), `the PACS answered ${wordsOf(mayPass)}`);
    }
    return givenUp(`the PACS refused ${wordsOf(left)}`, async (tx) => {
      await this.objects.stored(tx, kept);
      for (const one of left) await this.objects.failed(tx, [one.sopInstanceUid], 'refused', one.reason.text);
    });
  }
}

interface Refusal {
  readonly kind: ObjectKind;
  readonly sopInstanceUid: string;
  readonly reason: FailureReasonName;
}

function refusalOf({ kind, sopInstanceUid }: WaitingObject, { failed }: StoreResult): Refusal {
  const found = failed.find((one) => one.sopInstanceUid === sopInstanceUid);
  return { kind, sopInstanceUid, reason: nameOfReason(found?.reason ?? null) };
}

/** `sr: 0122 SOP class not supported; seg: …`. */
const wordsOf = (refusals: readonly Refusal[]): string =>
  refusals.map(({ kind, reason }) => `${kind}: ${reason.text}`).join('; ');

/** This run included. */
const attemptsOf = (objects: readonly WaitingObject[]): number =>
  1 + Math.max(0, ...objects.map((one) => one.attempts));

/** Doubles, with a fifth more or less by chance, so that studies do not knock together. */
function waitAfter(attempts: number): number {
  const wait = Math.min(STORE_RETRY_MAX_MS, STORE_RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 16));
  return Math.round(wait * (0.8 + Math.random() * 0.4));
}
