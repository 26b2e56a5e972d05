import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import { systemClock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { StudyWatchStore } from './study-watch.store.ts';
import { PacsWatch } from './watch-pacs.ts';

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
});
afterAll(() => close());

const seen = [{ studyInstanceUid: '1.2.3', numberOfInstances: 1 }];

function watchOn(recentStudies: () => Promise<unknown>, announce: (uids: string[]) => Promise<void>) {
  const told: string[] = [];
  const watch = new PacsWatch(
    { recentStudies } as unknown as StudySource,
    new StudyWatchStore(database),
    (jobs) => announce(jobs.map((job) => job.payload.studyInstanceUid)),
    {
      lookIntervalMs: 20,
      lookBackHours: 1,
      clock: systemClock,
      onFailure: (code) => told.push(code),
      onRecovery: () => told.push('well'),
    },
  );
  return { watch, told };
}

test('a study whose announcement could not be written is announced by the next look', async () => {
  const announced: string[][] = [];
  let away = true;
  const { watch } = watchOn(
    async () => seen,
    async (uids) => {
      if (away) throw new Failure('database.unavailable', 'away');
      announced.push(uids);
    },
  );
  await expect(watch.look()).rejects.toMatchObject({ code: 'database.unavailable' });
  away = false;
  expect(await watch.look()).toBe(1);
  expect(await watch.look()).toBe(0);
  expect(announced).toEqual([['1.2.3']]);
});

test('a PACS that is down is told of once for each kind of trouble, and its return once', async () => {
  let looks = 0;
  const { watch, told } = watchOn(
    async () => {
      looks += 1;
      if (looks <= 3) throw new Failure('dicomweb.unreachable', 'down');
      if (looks <= 5) throw new Failure('dicomweb.unauthorized', 'no');
      return [];
    },
    async () => undefined,
  );
  watch.start();
  for (const end = Date.now() + 10_000; looks < 9 && Date.now() < end; ) await sleep(10);
  await watch.stop();
  expect(told).toEqual(['dicomweb.unreachable', 'dicomweb.unauthorized', 'well']);
});
