import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { studyWorld } from '../../../test/study-world.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { StudySeen } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import { ANNOUNCE_AGAIN_MS, GONE_AT_ONCE_MAX, PacsWatch, UNMATCHED_LOOK_MS } from './watch-pacs.ts';

const world = studyWorld();

describe('the watch on a PACS', () => {
  const announced: string[] = [];
  beforeEach(() => void announced.splice(0));
  const watch = () =>
    new PacsWatch(
      world.source,
      world.watches,
      async (jobs: readonly JobRequest<StudySeen>[]) =>
        void announced.push(...jobs.map((job) => `${job.queue} ${job.key} ${job.payload.studyInstanceUid}`)),
      { lookIntervalMs: 10, lookBackHours: 24, clock: world.clock, onFailure: () => undefined },
    );

  const completeWithOrder = (studyInstanceUid: string, instanceCount: number) => {
    const now = world.clock.now();
    const watched = { studyInstanceUid, instanceCount, looks: 2, firstSeen: now, lastChange: now };
    const before = { completedCount: 0, unmatchedReason: null, listedIdentity: null };
    return world.database.transaction((tx) =>
      world.watches.complete(tx, { ...watched, ...before }, null, now),
    );
  };

  it('announces a new study once, again when it grows, and again after an hour when nothing became of it', async () => {
    world.now = Date.now();
    await world.send('3.1', 1);
    const pacs = watch();
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    await pacs.look();
    expect(announced).not.toContain('study 3.1 3.1');
    await world.send('3.1', 2);
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    world.now += ANNOUNCE_AGAIN_MS;
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    await world.runToEnd('3.1');
    announced.splice(0);
    world.now += ANNOUNCE_AGAIN_MS;
    await world.send('3.2', 1);
    await completeWithOrder('3.2', 1);
    await watch().look();
    expect(announced).toEqual(['study 3.1 3.1']);
  });

  it('tries unmatched studies again, once a minute', async () => {
    const pacs = watch();
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
    announced.splice(0);
    await pacs.look();
    expect(announced).not.toContain('study 3.1 3.1');
    world.now += UNMATCHED_LOOK_MS;
    await pacs.look();
    expect(announced).toContain('study 3.1 3.1');
  });

  it('a PACS that lists nothing any more is asked for some of the known studies at a time', async () => {
    world.now += 10 * 86_400_000;
    for (let at = 0; at < GONE_AT_ONCE_MAX + 3; at += 1) await completeWithOrder(`3.9.${at}`, 1);
    const { watch: emptied } = watchOn(
      async () => [],
      async () => undefined,
      world.clock,
    );
    expect(await emptied.look()).toBe(GONE_AT_ONCE_MAX);
    expect(await emptied.look()).toBe(3);
    expect(await emptied.look()).toBe(0);
  });
});

describe('a watch whose looks fail', () => {
  const seen = [{ studyInstanceUid: '1.2.3', numberOfInstances: 1 }];

  it('a study whose announcement could not be written is announced by the next look', async () => {
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

  it('a PACS that is down is told of once for each kind of trouble, and its return once', async () => {
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

  it('goes on after a look that failed, and ends when it is told to', async () => {
    let looks = 0;
    const { watch, told } = watchOn(
      async () => {
        looks += 1;
        throw new Failure('dicomweb.timeout', 'slow');
      },
      async () => undefined,
    );
    watch.start();
    await expect.poll(() => looks).toBeGreaterThan(1);
    await watch.stop();
    const count = looks;
    await sleep(30);
    expect(looks).toBe(count);
    expect(told).toEqual(['dicomweb.timeout']);
  });
});

// Days later: the studies of the tests before are out of its window.
const LATER: Clock = { now: () => new Date(Date.now() + 20 * 86_400_000) };

function watchOn(
  recentStudies: () => Promise<unknown>,
  announce: (uids: string[]) => Promise<void>,
  clock = LATER,
) {
  const told: string[] = [];
  const watch = new PacsWatch(
    { recentStudies } as unknown as StudySource,
    world.watches,
    (jobs) => announce(jobs.map((job) => job.payload.studyInstanceUid)),
    {
      lookIntervalMs: 5,
      lookBackHours: 1,
      clock,
      onFailure: (code) => told.push(code),
      onRecovery: () => told.push('well'),
    },
  );
  return { watch, told };
}
