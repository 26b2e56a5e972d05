import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ArchiveServer, startArchive } from '../../../test/peers/archive-server.ts';
import { dicomFile } from '../../../test/peers/dicom-file.ts';
import { ArchiveSource } from '../../archive/archive-source.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import { dicomwebConnection } from '../../dicomweb/dicomweb-connection.ts';
import { storeInstances } from '../../dicomweb/stow.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import type { StudySeen } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import { StudyStep } from './study.step.ts';
import { StudyWatchStore } from './study-watch.store.ts';
import { ANNOUNCE_AGAIN_MS, PacsWatch, UNMATCHED_LOOK_MS } from './watch-pacs.ts';

const TIMES = { quietMs: 30_000, lookIntervalMs: 10_000 };

let server: ArchiveServer;
let store: ResourceStore;
let watches: StudyWatchStore;
let now = Date.parse('2026-01-31T10:00:00Z');
const clock = { now: () => new Date(now) };

beforeAll(async () => {
  await loadDefinitions();
  server = await startArchive();
  store = new ResourceStore(server.database, { baseUrl: 'http://127.0.0.1:8080' });
  watches = new StudyWatchStore(server.database);
});
afterAll(() => server?.stop());

const step = (source: StudySource = server.get(ArchiveSource)) =>
  new StudyStep(source, store, watches, { ...TIMES, timeZone: null, clock });

/** Stores instances 1 to n of a study. */
async function send(study: string, count: number, elements: [string, string, string][] = [], series = '1') {
  const files = Array.from({ length: count }, (_, at) =>
    dicomFile({
      study,
      series: `${study}.${series}`,
      sop: `${study}.${series}.${at + 1}`,
      elements: [['00080060', 'CS', 'CT'], ['00200011', 'IS', series], ...elements],
    }),
  );
  await storeInstances(dicomwebConnection(new URL(server.root)), files);
}

/** Runs the step until it does not ask for another look; the clock moves as it asks. */
async function runToEnd(study: string, source?: StudySource) {
  for (let looks = 1; ; looks++) {
    const result = await step(source).run({ studyInstanceUid: study });
    if (result.kind === 'later') {
      now += result.afterMs;
      if (looks > 20) throw new Error('the step never comes to an end');
      continue;
    }
    if ('write' in result && result.write)
      await server.database.transaction(async (tx) => void (await result.write?.(tx)));
    return result;
  }
}

describe('PACS watch', () => {
  const announced: string[] = [];
  beforeEach(() => void announced.splice(0));
  const watch = () =>
    new PacsWatch(
      server.get(ArchiveSource),
      watches,
      async (jobs: readonly JobRequest<StudySeen>[]) =>
        void announced.push(...jobs.map((job) => `${job.queue} ${job.key} ${job.payload.studyInstanceUid}`)),
      { lookIntervalMs: 10, lookBackHours: 24, clock, onFailure: () => undefined },
    );

  it('announces a new study once, again when it grows, and again after an hour when nothing became of it', async () => {
    now = Date.now();
    await send('3.1', 1);
    const pacs = watch();
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    await pacs.look();
    expect(announced).not.toContain('study 3.1 3.1');
    await send('3.1', 2);
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    now += ANNOUNCE_AGAIN_MS;
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    await runToEnd('3.1');
    announced.splice(0);
    now += ANNOUNCE_AGAIN_MS;
    await watch().look();
    expect(announced.filter((job) => job.includes(' 2.1 '))).toEqual([]);
  });

  it('tries unmatched studies again, once a minute', async () => {
    const pacs = watch();
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    await pacs.look();
    expect(announced).not.toContain('study 3.1 3.1');
    now += UNMATCHED_LOOK_MS;
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
  });

  it('goes on after a look that failed, and ends when it is told to', async () => {
    const codes: string[] = [];
    let looks = 0;
    const failing = {
      recentStudies: () => {
        looks += 1;
        return Promise.reject(new Failure('dicomweb.timeout', 'slow'));
      },
    } as never as StudySource;
    const pacs = new PacsWatch(failing, watches, async () => undefined, {
      lookIntervalMs: 5,
      lookBackHours: 1,
      clock,
      onFailure: (code) => void codes.push(code),
    });
    pacs.start();
    await expect.poll(() => looks).toBeGreaterThan(1);
    await pacs.stop();
    const count = looks;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(looks).toBe(count);
    expect(codes).toEqual(['dicomweb.timeout']);
  });
});
