import type { Endpoint, ImagingStudy } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { withoutOwnObjects } from '../../dicom/own-objects.ts';
import type { DicomJson, StudySource } from '../../dicom/study-source.ts';
import { ifStill } from '../../fhir/if-still.ts';
import type { ResourceStore, ResourceWrite } from '../../fhir/resource-store.ts';
import type { StoredResource } from '../../fhir/stored-resource.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { StudyAvailable, StudySeen } from '../../kernel/handoffs.ts';
import { stableId } from '../../kernel/stable-id.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import { decideCompleteness, type QuietTimes, type StudyWatch } from './decide-completeness.ts';
import { currentPatient, findOrder, recordedKeys } from './find-order.ts';
import { isOfPatient, type OrderMatch, type StudyKeys } from './match-order.ts';
import { accessionIdentifier, imagingStudyId, metadataToImagingStudy } from './metadata-to-imaging-study.ts';
import { metadataToPatient } from './metadata-to-patient.ts';
import { studyPatient } from './study-patient.ts';
import type { StudyWatchStore } from './study-watch.store.ts';
import { hasSubject, withEarlier, withMatch, withoutLink } from './with-match.ts';

export interface StudyStepOptions extends QuietTimes {
  /** IANA zone of the site, for study times without an offset; null when it is not known. */
  readonly timeZone: string | null;
  readonly clock: Clock;
}

/**
 * Something of a study is there: is it all there? Looks until the count stands still, then writes Patient, Endpoint and
 * ImagingStudy. A study that grows afterwards is looked at again and gets a new version; an unmatched one gets its order
 * when that arrives.
 */
export class StudyStep implements Step<StudySeen, StudyAvailable> {
  readonly name = 'study';

  constructor(
    private readonly source: StudySource,
    private readonly store: ResourceStore,
    private readonly watches: StudyWatchStore,
    private readonly options: StudyStepOptions,
  ) {}

  async run(seen: StudySeen): Promise<StepResult<StudyAvailable>> {
    try {
      return await this.look(seen);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'study.contradictory' || error.code === 'dicomweb.wrong-study')
        return givenUp(error.message);
      // The PACS is away, or still moving the study: looking again costs nothing and uses up no attempts.
      if (AWAY.has(error.code)) return later(this.options.lookIntervalMs, error.message);
      throw error;
    }
  }

  private async look({ studyInstanceUid, identity }: StudySeen): Promise<StepResult<StudyAvailable>> {
    const now = this.options.clock.now();
    const [earlier, count] = await Promise.all([
      this.watches.read(studyInstanceUid),
      this.source.countInstances(studyInstanceUid),
    ]);
    if (count === 0 && !earlier?.completedCount) return skipped('the PACS has no instance of this study');
    const complete = earlier?.completedCount === count;
    const listed = earlier?.listedIdentity ?? null;
    const corrected = listed !== null && identity !== undefined && identity !== listed;
    if (complete && !corrected && (await this.stillTheSame(earlier)))
      return skipped('nothing new since the study was complete');
    const growing = this.source.isGrowing?.(studyInstanceUid) ?? false;
    const look = { studyInstanceUid, count, growing, now };
    const { watch, waitMs } = decideCompleteness(earlier, look, this.options);
    if (!complete && waitMs !== null) {
      await this.watches.keepLook(watch);
      return later(waitMs, `the study has ${count} instances and may still grow`);
    }
    if (count === 0) return this.gone(watch);
    return this.available({ ...watch, listedIdentity: identity ?? listed }, corrected);
  }

  /**
   * It was there and is not, over the same time as a new one must stand still. The record says so, and what was made of it stays: a
   * PACS that hands studies on and deletes them takes nothing back. When it is there again, all goes on.
   */
  private async gone(watch: StudyWatch): Promise<StepResult<StudyAvailable>> {
    const stored = await this.store.read('ImagingStudy', imagingStudyId(watch.studyInstanceUid));
    const kept = stored === null || stored.deleted ? null : stored.parse<ImagingStudy & { id: string }>();
    return skipped('the PACS has this study no more', async (tx) => {
      if (kept && stored && kept.status === 'available') {
        const resource = { ...kept, status: 'registered' } as const;
        await this.store.write(tx, [{ kind: 'update', resource, ifVersion: stored.versionId }]);
      }
      // Whose it was stays known: when it comes back as another patient's, that is a correction.
      await this.watches.complete(tx, watch, null, this.options.clock.now());
    });
  }

  private async available(watch: StudyWatch, corrected: boolean): Promise<StepResult<StudyAvailable>> {
    const { studyInstanceUid, instanceCount } = watch;
    const metadata = await this.source.metadata(studyInstanceUid);
    if (metadata.length !== instanceCount) return this.changed(watch, metadata.length);
    // Results of ours that came back as instances: counted, but no part of what is analysed.
    const theirs = withoutOwnObjects(metadata);
    if (theirs.length === 0)
      return watch.completedCount > 0
        ? this.gone(watch)
        : skipped('the study has nothing but results of ours');
    const [match, stored] = await Promise.all([
      findOrder(this.store, keysOf(theirs[0]!, studyInstanceUid)),
      this.store.read('ImagingStudy', imagingStudyId(studyInstanceUid)),
    ]);
    return this.record(watch, theirs, match, await this.kept(stored, theirs[0]!, corrected));
  }

  /** An unmatched study may have got its order; that is asked of our own record, not of the PACS. */
  private async stillTheSame(watch: StudyWatch): Promise<boolean> {
    if (watch.unmatchedReason === null) return true;
    const keys = await recordedKeys(this.store, watch.studyInstanceUid);
    const match = keys === null ? null : await findOrder(this.store, keys);
    return match?.kind === 'unmatched' && match.reason === watch.unmatchedReason;
  }

  /** The metadata are of another number of instances than were counted. */
  private async changed(watch: StudyWatch, instances: number): Promise<StepResult<StudyAvailable>> {
    const count = await this.source.countInstances(watch.studyInstanceUid);
    if (count === watch.instanceCount) {
      const text = `The PACS counts ${count} instances of the study and gives metadata of ${instances}. Check the study there.`;
      throw new Failure('dicomweb.incomplete', text);
    }
    await this.watches.keepLook({
      ...watch,
      instanceCount: count,
      looks: 1,
      lastChange: this.options.clock.now(),
    });
    return later(this.options.lookIntervalMs, 'the study changed while it was read');
  }

  private async record(
    watch: StudyWatch,
    metadata: readonly DicomJson[],
    match: OrderMatch,
    kept: ImagingStudy | null,
  ): Promise<StepResult<StudyAvailable>> {
    const { studyInstanceUid } = watch;
    const id = imagingStudyId(studyInstanceUid);
    if (kept?.status === 'cancelled' || kept?.status === 'entered-in-error')
      return skipped('the study was withdrawn by a person');
    const unknown = match.kind === 'unmatched' && !hasSubject(kept);
    const patient = unknown ? await studyPatient(this.store, metadata[0]!, studyInstanceUid) : null;
    const endpoint = endpointAt(this.source.endpoint);
    const found = metadataToImagingStudy(metadata, {
      timeZone: this.options.timeZone,
      subject: patient ? { reference: `Patient/${patient.id}` } : (kept?.subject ?? {}),
      endpoint: { reference: `Endpoint/${endpoint.id}` },
    });
    const study = withMatch(kept === null ? found : withEarlier(found, kept), match);
    const writes: ResourceWrite[] = [
      { kind: 'update', resource: endpoint, unchanged: 'skip' },
      ...(patient?.create ? [{ kind: 'update', resource: patient.create, unchanged: 'skip' } as const] : []),
      // A person may have linked the study meanwhile: then the write is refused, and the step comes again and sees it.
      {
        kind: 'update',
        resource: study,
        unchanged: 'skip',
        ...(kept ? ifStill(kept) : {}),
      },
    ];
    const reason = study.basedOn === undefined && match.kind === 'unmatched' ? match.reason : null;
    const next: StudyAvailable = { imagingStudyId: id, studyInstanceUid };
    // Nothing is promised to anybody yet: after a crash of the database machine the study is looked at again.
    return done<StudyAvailable>(next, {
      durable: false,
      write: (tx) => this.write(tx, watch, writes, reason),
    });
  }

  /** What is there of it, as far as it still holds. Null: it is new. */
  private async kept(
    stored: StoredResource | null,
    first: DicomJson,
    corrected: boolean,
  ): Promise<ImagingStudy | null> {
    if (stored === null || stored.deleted) return null;
    const kept = stored.parse<ImagingStudy>();
    if (!corrected) return kept;
    const patient = await currentPatient(this.store, kept);
    const { identifier = [], birthDate = null, gender = null } = metadataToPatient(first);
    const keys = { studyInstanceUid: '', accession: null, patientIds: identifier, birthDate, gender };
    return withoutLink(kept, patient !== null && isOfPatient(patient, keys));
  }

  private async write(
    tx: Transaction,
    watch: StudyWatch,
    writes: readonly ResourceWrite[],
    reason: string | null,
  ): Promise<void> {
    await this.store.write(tx, writes);
    await this.watches.complete(tx, watch, reason, this.options.clock.now());
  }
}

const AWAY: ReadonlySet<string> = new Set([
  'dicomweb.unreachable',
  'dicomweb.timeout',
  'dicomweb.status',
  'dicomweb.not-found',
]);

function keysOf(first: DicomJson, studyInstanceUid: string): StudyKeys {
  const { identifier = [], birthDate = null, gender = null } = metadataToPatient(first);
  return {
    studyInstanceUid,
    accession: accessionIdentifier(first),
    patientIds: identifier,
    birthDate,
    gender,
  };
}

function endpointAt(address: string): Endpoint & { id: string } {
  return {
    resourceType: 'Endpoint',
    id: stableId('Endpoint', address),
    status: 'active',
    connectionType: {
      system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
      code: 'dicom-wado-rs',
    },
    payloadType: [{ text: 'DICOM instances' }],
    payloadMimeType: ['application/dicom', 'application/dicom+json'],
    address,
  };
}
