import { afterAll, beforeAll, expect, it } from 'vitest';
import { STUDY_FLOW } from '../../src/flow/study-flow.ts';
import {
  expectExactlyOnce,
  type FlowWorld,
  makeWorld,
  order,
  outboxEmpty,
  stow,
  until,
} from './flow-world.ts';
import { Freezer } from './freezer.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';

/**
 * Filing has its own kills: its job is only a call (`test/hl7/filing-kills.spec.ts`). The write and the commit of `ris-send` leave in one round trip: what was
 * stopped before the write is committed once it is let go, and is not done a second time.
 */
const OTHERWISE: readonly string[] = ['filing', 'ris-send'];

/** Further settings of a server, and what is to be stopped after it. */
export interface EngineUnderTest {
  readonly settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Kills the server between any two stages of the way and starts it again: each study comes to one report and one message. */
export function survivesKills(engine: () => Promise<EngineUnderTest>): void {
  let world: FlowWorld;
  let freezer: Freezer;
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    const { settings, stop } = await engine();
    ends.push(stop);
    const model = await makeTinyModel();
    ends.push(model.remove);
    world = await makeWorld({ settings: { ...settings, PRELIM_MODELS: model.folder } });
    ends.push(world.close);
    freezer = await Freezer.install(world.sql);
    ends.push(async () => freezer.remove());
  });
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  });

  const begin = async (): Promise<TestStudy> => {
    const study = tinyStudy();
    expect(await order(world, study)).toBe('AA');
    return study;
  };
  const killFrozen = async () => {
    await freezer.frozen();
    await world.server.kill('SIGKILL');
    await freezer.thaw();
  };
  const restart = async (study: TestStudy) => {
    await world.server.start();
    await expectExactlyOnce(world, study);
    await outboxEmpty(world);
  };

  it.each(STUDY_FLOW.map(({ step }) => step).filter((step) => !OTHERWISE.includes(step)))(
    'at %s, before the write, and then again at its commit: one report, one message, nothing left',
    async (step) => {
      const study = await begin();
      await freezer.freeze(step, 'before the write');
      expect((await stow(world.server, study.files)).status).toBe(200);
      await killFrozen();
      await freezer.freeze(step, 'at the commit');
      await world.server.start();
      await killFrozen();
      await restart(study);
    },
    60_000,
  );

  it.each(['before the write', 'at the commit'] as const)(
    'at ris-send, %s: one report, one message, nothing left',
    async (moment) => {
      const study = await begin();
      await freezer.freeze('ris-send', moment);
      expect((await stow(world.server, study.files)).status).toBe(200);
      await killFrozen();
      await restart(study);
    },
    60_000,
  );

  it('while the study is being stored: what was not answered is stored again, and counts once', async () => {
    const study = await begin();
    await freezer.freeze('study', 'at the commit of its cause');
    const cut = stow(world.server, study.files).then(
      (answer) => answer.status,
      () => 'no answer',
    );
    await freezer.frozen();
    await world.server.kill('SIGKILL');
    expect(await cut).toBe('no answer');
    await freezer.thaw();
    await world.server.start();
    expect((await stow(world.server, study.files)).status).toBe(200);
    await expectExactlyOnce(world, study);
    await outboxEmpty(world);
  }, 60_000);

  it('while the RIS has the message and has not answered: the same bytes go again', async () => {
    const study = await begin();
    const before = world.ris.messages.length;
    world.ris.script({ do: 'silence' });
    expect((await stow(world.server, study.files)).status).toBe(200);
    await world.ris.waitFor(before + 1, 20_000);
    await world.server.kill('SIGKILL');
    await restart(study);
    expect(world.ris.messages.slice(before)).toHaveLength(2);
  }, 60_000);

  it('while the model has the pixels before it: the run is taken up anew', async () => {
    const study = await begin();
    await freezer.freeze('quality', 'at the commit');
    expect((await stow(world.server, study.files)).status).toBe(200);
    await freezer.frozen();
    const holder = await world.sql.connect();
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE archive_instance IN ACCESS EXCLUSIVE MODE');
    await freezer.thaw();
    await until(async () => {
      const { rows } = await holder.query(
        `SELECT 1 FROM pg_locks WHERE relation = 'archive_instance'::regclass AND NOT granted`,
      );
      const running = await holder.query(
        `SELECT 1 FROM outbox WHERE queue = 'inference' AND state = 'running'`,
      );
      return rows.length > 0 && running.rows.length > 0;
    });
    await world.server.kill('SIGKILL');
    await holder.query('ROLLBACK');
    holder.release();
    await restart(study);
  }, 60_000);

  it('and a quiet stop in the middle of the work loses nothing either', async () => {
    const study = await begin();
    world.ris.script({ do: 'silence' });
    const before = world.ris.messages.length;
    expect((await stow(world.server, study.files)).status).toBe(200);
    await world.ris.waitFor(before + 1, 20_000);
    expect(await world.server.stop()).toBe(0);
    await restart(study);
  }, 60_000);
}
