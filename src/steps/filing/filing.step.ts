import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import type { AuditEntry } from '../../database/audit-sink.ts';
import { Database, type Transaction } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { DOOR_LOAD } from '../../hl7/door-load.ts';
import { readSenderCharsets } from '../../hl7/sender-charsets.ts';
import { senderName } from '../../hl7/sender-name.ts';
import { Failure } from '../../kernel/errors.ts';
import type { MessageFiled, MessageStored } from '../../kernel/handoffs.ts';
import { LOGGER } from '../../kernel/log.ts';
import { Outbox } from '../../queue/outbox.ts';
import { done, later, type Step, type StepResult } from '../step.ts';
import { readAccessionPlaces } from './accession-places.ts';
import { fileMessages, isConflict, RefusedHalfWay } from './file-messages.ts';
import type { SentPlan } from './filing-plan.ts';
import {
  type FiledMark,
  InboundQueueStore,
  type MarkedMessage,
  type WaitingMessage,
} from './inbound-queue.store.ts';
import { type FilingSite, messageToPlan } from './message-to-plan.ts';
import { lookAgain } from './move-patient.ts';

/** A message that breaks for a reason nobody foresaw is tried so often, then put aside by the code `internal`, so that it stops nobody. */
export const TRIES_MAX = 3;
/** Somebody else keeps writing the same resources: a merge meets the work on a whole patient. */
export const CONFLICT_TRIES_MAX = 20;
/** A conflict with somebody else's write is over at once; a second try waits this long. */
export const TRY_AGAIN_MS = 50;
/** While the door of this process takes messages a batch is small, so that no answer waits long for it. */
export const BESIDE_DOOR_BATCH_MESSAGES = 8;
/** One run of the job ends then, whatever still waits, so that a server that is asked to stop does not file a long queue first. */
export const RUN_MS_MAX = 2_000;
/** The database is away: filing looks again after this time. */
export const TROUBLE_MS = 2_000;

type FilingSettings = Pick<
  Settings,
  'SITE_TIME_ZONE' | 'HL7_CHARSET' | 'HL7_ACCESSION_FROM' | 'HL7_SENDING_APPLICATION' | 'HL7_SENDING_FACILITY'
>;

/** A message as it was read: what to file, or why it cannot be. */
type Read =
  | { readonly message: WaitingMessage; readonly plan: SentPlan; readonly failure: null }
  | { readonly message: WaitingMessage; readonly plan: null; readonly failure: Failure };

/**
 * Stored messages → the record, strictly in the order of their ids, one batch after another. Each message is filed in the transaction that marks it
 * filed: whatever happens to the process, it is filed once. A message that cannot be filed is marked with the code of why and stops nobody; trouble
 * that will pass stops everything, for what comes after must not overtake. The job is only the call to look: the messages
 * themselves say that they wait.
 */
@Injectable()
export class FilingStep implements Step<MessageStored, MessageFiled> {
  readonly name = 'filing';
  private readonly site: FilingSite;

  constructor(
    private readonly database: Database,
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly queue: InboundQueueStore,
    @Inject(SETTINGS) settings: FilingSettings,
    @Inject(LOGGER) private readonly log: Logger,
  ) {
    this.site = {
      timeZone: settings.SITE_TIME_ZONE,
      charsets: readSenderCharsets(settings.HL7_CHARSET),
      accessionPlaces: readAccessionPlaces(settings.HL7_ACCESSION_FROM),
      own: { application: settings.HL7_SENDING_APPLICATION, facility: settings.HL7_SENDING_FACILITY },
    };
  }

  async run({ retiredPatientId, looks = 0 }: MessageStored): Promise<StepResult<MessageFiled>> {
    try {
      if (retiredPatientId !== undefined) await this.lookAgain(retiredPatientId, looks);
      else if (await this.fileForAWhile()) return later(0, 'more messages wait');
    } catch (error) {
      const code = error instanceof Failure ? error.code : 'internal';
      this.log.warn({ code }, 'filing stopped and will be tried again');
      return later(TROUBLE_MS, code);
    }
    return done<MessageFiled>(null, { durable: false });
  }

  /** True: time is up, and more may wait. */
  private async fileForAWhile(): Promise<boolean> {
    const until = performance.now() + RUN_MS_MAX;
    for (let began = performance.now(); began < until; began = performance.now()) {
      if (!(await this.fileBatch())) return false;
      await DOOR_LOAD.giveWay(began);
    }
    return true;
  }

  /**
   * Files the next messages, `max` at most; false when none waits. Not waiting for the disk: a commit that is lost with the machine loses its marks too. Where one that
   * has a round of its own is refused, those before it are filed; it comes first then, and is put aside.
   */
  private async fileBatch(
    max = DOOR_LOAD.isActive ? BESIDE_DOOR_BATCH_MESSAGES : undefined,
  ): Promise<boolean> {
    let waiting: WaitingMessage[] = [];
    try {
      await this.database.transaction(
        async (tx) => {
          waiting = await this.queue.next(tx, max);
          await this.mark(tx, await this.file(tx, await this.readAll(waiting)));
        },
        { durable: false },
      );
    } catch (error) {
      const refused = error instanceof RefusedHalfWay ? error.at : null;
      if (refused !== null && refused > 0) return this.fileBatch(refused);
      if (willPass(error) && !isConflict(error)) throw error;
      for (const message of refused === 0 ? waiting.slice(0, 1) : waiting) await this.fileAlone(message);
    }
    return waiting.length > 0;
  }

  /** The door answers in the same process: it must not wait until a whole batch is taken apart. */
  private async readAll(messages: readonly WaitingMessage[]): Promise<Read[]> {
    const read: Read[] = [];
    for (const message of messages) {
      read.push(this.read(message));
      await setImmediate();
    }
    return read;
  }

  private read(message: WaitingMessage): Read {
    try {
      return { message, plan: messageToPlan(message.raw, this.site), failure: null };
    } catch (error) {
      if (error instanceof Failure && !error.retry) return { message, plan: null, failure: error };
      throw error;
    }
  }

  private async file(tx: Transaction, read: readonly Read[]): Promise<FiledMark[]> {
    const plans = read.flatMap(({ plan }) => plan ?? []);
    const ends = await fileMessages({ tx, store: this.store, outbox: this.outbox }, plans);
    return read.map(({ message, plan, failure }) => {
      if (plan === null) return this.refusal(message.id, failure, null);
      const end = ends[plans.indexOf(plan)];
      if (end?.kind === 'refused') return this.refusal(message.id, end.failure, plan);
      const { mrn, accession } = plan;
      return { id: message.id, outcome: 'filed', location: '', flags: end?.flags ?? [], mrn, accession };
    });
  }

  /** Its own transaction, tried a few times. What stays broken is put aside, by name. */
  private async fileAlone(message: WaitingMessage): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.database.transaction(
          async (tx) => {
            if (!(await this.queue.claim(tx, message.id))) return;
            await this.mark(tx, await this.file(tx, [this.read(message)]));
          },
          { durable: false },
        );
        return;
      } catch (thrown) {
        const error = thrown instanceof RefusedHalfWay ? thrown.failure : thrown;
        if (willPass(error) && !isConflict(error)) throw error;
        const isRefusal = error instanceof Failure && !isConflict(error);
        if (isRefusal || tries >= (isConflict(error) ? CONFLICT_TRIES_MAX : TRIES_MAX)) {
          await this.putAside(message, isRefusal ? error : unforeseen(error));
          return;
        }
        await sleep(TRY_AGAIN_MS);
      }
    }
  }

  private async putAside(message: WaitingMessage, failure: Failure): Promise<void> {
    await this.database.transaction(async (tx) => {
      if (await this.queue.claim(tx, message.id))
        await this.mark(tx, [this.refusal(message.id, failure, null)]);
    });
  }

  private async mark(tx: Transaction, marks: readonly FiledMark[]): Promise<void> {
    const marked = await this.queue.mark(tx, marks);
    await this.database.audit?.recordIn(tx, marked.map(auditOf));
  }

  private refusal(id: string, failure: Failure, plan: SentPlan | null): FiledMark {
    this.log.warn({ message: id, code: failure.code }, 'a message was answered and cannot be filed');
    const location = failure.issues.find((issue) => issue.at !== undefined)?.at ?? '';
    const { flags = [], mrn = null, accession = null } = plan ?? {};
    return { id, outcome: failure.code, location, flags, mrn, accession };
  }

  /** What work that was under way has written for a merged patient since follows him. */
  private async lookAgain(retired: string, looks: number): Promise<void> {
    await this.database.transaction(async (tx) => {
      await this.queue.lock(tx);
      await lookAgain({ tx, store: this.store, outbox: this.outbox }, retired, looks);
    });
  }
}

/** Who sent what, and whether it was taken. The resources that it changed have events of their own. */
const auditOf = ({ application, facility, hash, outcome }: MarkedMessage): AuditEntry => ({
  kind: 'message',
  interaction: 'hl7-in',
  action: 'C',
  outcome: outcome === 'filed' ? 0 : 4,
  entity: `urn:prelim:hl7:${hash}`,
  actor: { client: senderName(application, facility) },
});

/** The database was away, or too busy; not what a message says. */
function willPass(error: unknown): boolean {
  if (error instanceof Failure) return error.retry;
  const code = String((error as { code?: unknown }).code ?? '');
  // PostgreSQL: connection, resources, operator intervention, lock and serialization trouble.
  return /^(08|53|57|40|55)[0-9A-Z]{3}$/.test(code);
}

function unforeseen(cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  return new Failure('internal', 'The message could not be filed for a reason nobody foresaw.', { cause });
}
