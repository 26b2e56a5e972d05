import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { jsonString } from '../dicom/json-values.ts';
import type {
  ArrivingInstances,
  DicomJson,
  FetchedInstances,
  PatientStudiesAsked,
  PatientStudy,
  SeenStudy,
  StudySource,
} from '../dicom/study-source.ts';
import { isUid } from '../dicom/uid.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { Arrivals } from './arrivals.ts';
import { callDicomweb } from './dicomweb-client.ts';
import { type DicomwebConnection, dicomwebConnection } from './dicomweb-connection.ts';
import { queryPatientStudies } from './query-patient-studies.ts';
import { dicomJsonRows, queryRows } from './query-rows.ts';
import { type Retrieval, retrieveInstances } from './retrieve-instances.ts';

/** Up to so many instances are asked for one by one; more, and the whole series is one answer. */
export const SINGLE_INSTANCES_MAX = 4;
/** A count is believed so long while the server's own (0020,1208) stands still; then it is counted again. */
export const COUNT_BELIEVED_MS = 300_000;
/** Studies counted at the same time: a PACS serves people first. */
const COUNTS_AT_ONCE = 4;

const TAG = { studyDate: '00080020', study: '0020000D', sop: '00080018', instances: '00201208' } as const;

interface Counted {
  readonly hint: string;
  readonly count: number;
  readonly at: number;
}

/** Studies of any DICOMweb server (PS3.18). Bulk data goes to files under `spoolFolder` as it arrives. */
export class DicomwebSource implements StudySource {
  readonly endpoint: string;
  private readonly counted = new Map<string, Counted>();

  constructor(
    private readonly connection: DicomwebConnection,
    private readonly spoolFolder: string,
    private readonly clock: Clock = systemClock,
  ) {
    this.endpoint = connection.root.href.replace(/\/$/, '');
  }

  /**
   * QIDO by study date. (0020,1208) is often absent and sometimes stale: it only tells which studies need counting again.
   * One day is added, because a study date is the date at the modality's own clock.
   */
  async recentStudies(sinceHours: number): Promise<readonly SeenStudy[]> {
    const since = new Date(this.clock.now().getTime() - (sinceHours + 24) * 3_600_000);
    const from = since.toISOString().slice(0, 10).replaceAll('-', '');
    const rows = await queryRows({
      page: (limit, offset) =>
        callDicomweb(this.connection, 'query', (client, request) =>
          client.searchForStudies({
            request,
            queryParams: { StudyDate: `${from}-`, includefield: TAG.instances, limit, offset },
          }),
        ),
      uid: (row) => uidOf(row, TAG.study),
      fits: (row) => (jsonString(row, TAG.studyDate) ?? '').replaceAll('.', '') >= from,
    });
    for (const uid of this.counted.keys()) if (!rows.has(uid)) this.counted.delete(uid);
    const studies = [...rows];
    const seen: SeenStudy[] = [];
    const worker = async () => {
      for (let next = studies.pop(); next !== undefined; next = studies.pop()) {
        const [studyInstanceUid, row] = next;
        seen.push({
          studyInstanceUid,
          numberOfInstances: await this.believedCount(studyInstanceUid, jsonString(row, TAG.instances) ?? ''),
          identity: identityOf(studyInstanceUid, row),
        });
      }
    };
    await Promise.all(Array.from({ length: COUNTS_AT_ONCE }, worker));
    return seen;
  }

  async countInstances(studyInstanceUid: string): Promise<number> {
    checkUids(studyInstanceUid);
    const rows = await queryRows({
      page: async (limit, offset) => {
        const answer = await callDicomweb(
          this.connection,
          'query',
          (client, request) =>
            client.searchForInstances({
              studyInstanceUID: studyInstanceUid,
              request,
              queryParams: { limit, offset },
            }),
          [404],
        );
        return answer.status === 404 ? { status: 204, body: null } : answer;
      },
      uid: (row) => uidOf(row, TAG.sop),
      // The study may be left out of the row, because it stands in the URL; another one may not.
      fits: (row) => [studyInstanceUid, ''].includes(jsonString(row, TAG.study) ?? ''),
    });
    return rows.size;
  }

  studiesOfPatient(asked: PatientStudiesAsked): Promise<readonly PatientStudy[]> {
    return queryPatientStudies(this.connection, asked);
  }

  async metadata(studyInstanceUid: string): Promise<readonly DicomJson[]> {
    checkUids(studyInstanceUid);
    const answer = await callDicomweb(this.connection, 'metadata', (client, request) =>
      client.retrieveStudyMetadata({ studyInstanceUID: studyInstanceUid, request }),
    );
    const instances = new Map<string, DicomJson>();
    for (const row of dicomJsonRows(answer)) {
      if ((jsonString(row, TAG.study) ?? '') !== studyInstanceUid) {
        throw new Failure(
          'dicomweb.wrong-study',
          'The PACS gives metadata of another study than the one asked for.',
        );
      }
      const uid = uidOf(row, TAG.sop);
      if (uid === undefined)
        throw new Failure('dicomweb.answer', 'An instance in the metadata has no usable SOP Instance UID.');
      instances.set(uid, row);
    }
    return [...instances.values()];
  }

  async fetch(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[],
  ): Promise<FetchedInstances> {
    const { paths, release } = this.fetchEach(studyInstanceUid, seriesInstanceUid, sopInstanceUids);
    try {
      const arrived = await Promise.all(paths);
      const instances = sopInstanceUids.map((sopInstanceUid, at) => ({ sopInstanceUid, path: arrived[at]! }));
      return { instances, release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  fetchEach(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[],
  ): ArrivingInstances {
    checkUids(studyInstanceUid, seriesInstanceUid, ...sopInstanceUids);
    const arrivals = new Arrivals(sopInstanceUids);
    const series = { connection: this.connection, studyInstanceUid, seriesInstanceUid };
    const ended = this.retrieve(series, arrivals).then(
      (folder) => {
        arrivals.fail(missing());
        return folder;
      },
      (error: unknown) => {
        arrivals.fail(error);
        return arrivals.folder;
      },
    );
    return {
      paths: sopInstanceUids.map((uid) => arrivals.path(uid)),
      release: async () => {
        arrivals.stop();
        const folder = await ended;
        if (folder) await rm(folder, { recursive: true, force: true });
      },
    };
  }

  private async retrieve(series: Omit<Retrieval, 'sopInstanceUid'>, arrivals: Arrivals): Promise<string> {
    await mkdir(this.spoolFolder, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(this.spoolFolder, 'fetch-'));
    arrivals.folder = folder;
    if (arrivals.wanted.size > SINGLE_INSTANCES_MAX) await retrieveInstances(series, folder, arrivals);
    else
      for (const sopInstanceUid of [...arrivals.wanted])
        await retrieveInstances({ ...series, sopInstanceUid }, folder, arrivals);
    return folder;
  }

  private async believedCount(studyInstanceUid: string, hint: string): Promise<number> {
    const now = this.clock.now().getTime();
    const known = this.counted.get(studyInstanceUid);
    if (known !== undefined && hint !== '' && known.hint === hint && now - known.at < COUNT_BELIEVED_MS)
      return known.count;
    const count = await this.countInstances(studyInstanceUid);
    this.counted.set(studyInstanceUid, { hint, count, at: now });
    return count;
  }
}

/** Removes what a process that was killed left in the spool. Only for folders older than any running retrieval. */
export async function sweepSpool(
  spoolFolder: string,
  olderThanMs: number,
  clock: Clock = systemClock,
): Promise<number> {
  const names = await readdir(spoolFolder).catch(() => []);
  let removed = 0;
  for (const name of names.filter((entry) => entry.startsWith('fetch-'))) {
    const path = join(spoolFolder, name);
    const found = await stat(path).catch(() => null);
    if (found === null || clock.now().getTime() - found.mtimeMs < olderThanMs) continue;
    await rm(path, { recursive: true, force: true });
    removed++;
  }
  return removed;
}

/** Patient id, birth date, sex, accession number: what every answer to a query of studies has (PS3.18 table 10.6.3-3), where the study has it. */
const IDENTITY = ['00100020', '00100030', '00100040', '00080050'];

function identityOf(studyInstanceUid: string, row: DicomJson): string {
  const values = IDENTITY.map((tag) => (jsonString(row, tag) ?? '').trim());
  return createHash('sha256')
    .update(JSON.stringify([studyInstanceUid, ...values]))
    .digest('base64url');
}

function uidOf(row: DicomJson, tag: string): string | undefined {
  const uid = jsonString(row, tag) ?? '';
  return isUid(uid) ? uid : undefined;
}

function checkUids(...uids: string[]): void {
  if (!uids.every(isUid)) {
    throw new Failure(
      'dicomweb.uid',
      'A UID has other characters than digits and dots or more than 64 of them; it is not sent to the PACS.',
    );
  }
}

const missing = (): Failure =>
  new Failure(
    'dicomweb.incomplete',
    'The PACS did not give every instance asked for; the series may have changed.',
  );

/** The source at `DICOMWEB_URL`, with its credentials; spool under `PRELIM_DATA`. Throws `config.invalid`. */
export function dicomwebSourceOf(settings: Settings): DicomwebSource {
  if (!settings.DICOMWEB_URL) throw new Failure('config.invalid', 'DICOMWEB_URL is not set.');
  const { DICOMWEB_TOKEN: token, DICOMWEB_USER: user, DICOMWEB_PASSWORD: password } = settings;
  const spool = join(settings.PRELIM_DATA, 'spool');
  // What a killed process left there; nobody waits for it.
  void sweepSpool(spool, SPOOL_KEPT_MS).catch(() => undefined);
  return new DicomwebSource(dicomwebConnection(settings.DICOMWEB_URL, { token, user, password }), spool);
}

/** No step holds fetched files for a day. */
const SPOOL_KEPT_MS = 86_400_000;
