import { afterAll, beforeAll } from 'vitest';
import { ArchiveSource } from '../src/archive/archive-source.ts';
import type { Database } from '../src/database/database.ts';
import type { StudySource } from '../src/dicom/study-source.ts';
import { dicomwebConnection } from '../src/dicomweb/dicomweb-connection.ts';
import { storeInstances } from '../src/dicomweb/stow.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../src/fhir/resource-store.ts';
import type { Clock } from '../src/kernel/clock.ts';
import { StudyStep } from '../src/steps/study/study.step.ts';
import { StudyWatchStore } from '../src/steps/study/study-watch.store.ts';
import { type ArchiveServer, startArchive } from './peers/archive-server.ts';
import { dicomFile } from './peers/dicom-file.ts';

export const QUIET_MS = 30_000;
export const LOOK_INTERVAL_MS = 10_000;
/** A step that has not ended by then never does. */
const LOOKS_MAX = 20;

type Element = [tag: string, vr: string, value: string];

/** An archive, and the step that waits for its studies to be complete. */
export interface StudyWorld {
  /** What `clock` says, in milliseconds; a test moves it. */
  now: number;
  readonly clock: Clock;
  readonly database: Database;
  readonly source: StudySource;
  readonly store: ResourceStore;
  readonly watches: StudyWatchStore;
  step(source?: StudySource): StudyStep;
  /** Stores instances 1 to `count` of a series of a study. */
  send(study: string, count: number, elements?: Element[], series?: string): Promise<void>;
  /** Runs the step until it does not ask for another look; the clock moves as it asks. Writes what the step gives. */
  runToEnd(study: string, source?: StudySource): Promise<Exclude<StudyResult, { kind: 'later' }>>;
}

type StudyResult = Awaited<ReturnType<StudyStep['run']>>;

/** For a spec: a world of its own, from before its first test to after its last. */
export function studyWorld(): StudyWorld {
  let server: ArchiveServer;
  let store: ResourceStore;
  let watches: StudyWatchStore;
  beforeAll(async () => {
    await loadDefinitions();
    server = await startArchive();
    store = new ResourceStore(server.database, { baseUrl: 'http://127.0.0.1:8080' });
    watches = new StudyWatchStore(server.database);
  });
  afterAll(() => server?.stop());
  const world: StudyWorld = {
    now: Date.parse('2026-01-31T10:00:00Z'),
    clock: { now: () => new Date(world.now) },
    get database() {
      return server.database;
    },
    get source() {
      return server.get(ArchiveSource);
    },
    get store() {
      return store;
    },
    get watches() {
      return watches;
    },
    step: (source = world.source) =>
      new StudyStep(source, store, watches, {
        ...{ quietMs: QUIET_MS, lookIntervalMs: LOOK_INTERVAL_MS },
        ...{ timeZone: null, clock: world.clock },
      }),
    async send(...study) {
      await storeInstances(dicomwebConnection(new URL(server.root)), filesOf(...study));
    },
    runToEnd: (study, source) => runToEnd(world, study, source),
  };
  return world;
}

const filesOf = (study: string, count: number, elements: Element[] = [], series = '1') =>
  Array.from({ length: count }, (_, at) =>
    dicomFile({
      study,
      series: `${study}.${series}`,
      sop: `${study}.${series}.${at + 1}`,
      elements: [['00080060', 'CS', 'CT'], ['00200011', 'IS', series], ...elements],
    }),
  );

async function runToEnd(world: StudyWorld, study: string, source?: StudySource) {
  for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
    const result = await world.step(source).run({ studyInstanceUid: study });
    if (result.kind !== 'later') {
      const write = 'write' in result ? result.write : undefined;
      if (write) await world.database.transaction(async (tx) => void (await write(tx)));
      return result;
    }
    world.now += result.afterMs;
  }
  throw new Error('the step never comes to an end');
}
