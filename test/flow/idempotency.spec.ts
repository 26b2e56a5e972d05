import type { DiagnosticReport, ImagingStudy, Task } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { fieldOf } from '../peers/ris.ts';
import {
  expectExactlyOnce,
  fillerOf,
  messagesFor,
  order,
  outboxEmpty,
  read,
  reportIdOf,
  stow,
  taskEnded,
  tasksOf,
  until,
} from './flow-world.ts';
import { headStudy, lateImage, type TestStudy, tinyStudy } from './studies.ts';
import { TINY_MODEL } from './tiny-model.ts';
import { analyse, tinyWorld } from './tiny-world.ts';

describe('asked twice, done once', () => {
  const world = tinyWorld();

  const analyze = (task: Task, headers: Record<string, string> = {}) =>
    world.server.ask(
      'POST',
      `/fhir/${task.focus?.reference}/$analyze?model=${TINY_MODEL}`,
      undefined,
      headers,
    );

  it('the same study stored twice, before and after its report, is one report and one message', async () => {
    const study = tinyStudy();
    await order(world, study);
    const [one, two] = await Promise.all([stow(world.server, study.files), stow(world.server, study.files)]);
    expect([one.status, two.status]).toEqual([200, 200]);
    await expectExactlyOnce(world, study);
    expect((await stow(world.server, study.files)).status).toBe(200);
    await outboxEmpty(world);
    await expectExactlyOnce(world, study);
  }, 60_000);

  it('$analyze of a finished study waits for nothing and gives the report that is there', async () => {
    const study = tinyStudy();
    const task = await analyse(world, study);
    await outboxEmpty(world);
    const answers = await Promise.all([analyze(task), analyze(task), analyze(task)]);
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({
        resourceType: 'DiagnosticReport',
        id: reportIdOf(task),
        meta: { versionId: '1' },
      });
    }
    await outboxEmpty(world);
    await expectExactlyOnce(world, study);
  }, 60_000);

  it('with Prefer: respond-async it answers 202 and a place to look, and later 200 with the report', async () => {
    await world.server.ask('PUT', `/fhir/Subscription/model-${TINY_MODEL}`, await subscription('off'));
    const study = tinyStudy();
    await order(world, study);
    await stow(world.server, study.files);
    let focus = '';
    await until(async () => {
      const { rows } = await world.sql.query(
        `SELECT id FROM resource WHERE type = 'ImagingStudy' AND position($1 IN content) > 0`,
        [study.uid],
      );
      focus = rows[0] ? `ImagingStudy/${rows[0].id}` : '';
      return focus !== '';
    });
    await outboxEmpty(world);
    expect(await tasksOf(world, study)).toEqual([]);
    const asked = await analyze({ focus: { reference: focus } } as Task, { prefer: 'respond-async' });
    expect(asked.status).toBe(202);
    const location = new URL(String(asked.headers.get('content-location')));
    expect(location.href.startsWith(`${world.server.url}/fhir/`)).toBe(true);
    const statuses: number[] = [];
    let last = await world.server.ask('GET', location.pathname);
    for (; last.status === 202; last = await world.server.ask('GET', location.pathname)) {
      statuses.push(202);
      expect(last.text === '' || last.body !== null).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(last.status).toBe(200);
    expect(last.body.resourceType).toBe('DiagnosticReport');
    await expectExactlyOnce(world, study);
    await world.server.ask('PUT', `/fhir/Subscription/model-${TINY_MODEL}`, await subscription('requested'));
    await outboxEmpty(world);
  }, 60_000);

  it('$analyze of a study that does not fit answers 422 with the coded reason, and again the same', async () => {
    const study = headStudy();
    await stow(world.server, study.files);
    const task = await taskEnded(world, study, 'rejected');
    for (let round = 0; round < 2; round += 1) {
      const answer = await world.server.ask(
        'POST',
        `/fhir/${task.focus?.reference}/$analyze?model=ct-lung-density`,
      );
      expect(answer.status).toBe(422);
      expect(answer.body.issue[0].details.coding[0].code).toBe(task.statusReason?.coding?.[0]?.code);
    }
    await outboxEmpty(world);
  });

  it.each(['', '?model=', '?model=no-such-model', `?model=${TINY_MODEL}@9.9.9`])(
    '$analyze%s is refused with the names of the models',
    async (query) => {
      const study = tinyStudy();
      const task = await analyse(world, study);
      const answer = await world.server.ask('POST', `/fhir/${task.focus?.reference}/$analyze${query}`);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(TINY_MODEL);
    },
  );

  it('$analyze of no study is 404', async () => {
    expect(
      (await world.server.ask('POST', `/fhir/ImagingStudy/none/$analyze?model=${TINY_MODEL}`)).status,
    ).toBe(404);
  });

  /** Stores one more image and gives the Task once it has taken account of it. */
  const growBy = async (study: TestStudy, first: Task, view: 'PA' | 'LL'): Promise<Task> => {
    expect((await stow(world.server, [lateImage(study, view)])).status).toBe(200);
    let task: Task | undefined;
    await until(async () => {
      [task] = await tasksOf(world, study);
      return task?.input?.[1]?.valueString !== first.input?.[1]?.valueString && task?.status === 'completed';
    });
    await outboxEmpty(world);
    expect(await tasksOf(world, study)).toHaveLength(1);
    const imagingStudy = await read<ImagingStudy>(world, String(task?.focus?.reference));
    expect(imagingStudy.numberOfInstances).toBe(2);
    return task as Task;
  };

  it('a late series opens the study again: version 2 of the same report, a second message with the same filler number', async () => {
    const study = tinyStudy();
    const first = await analyse(world, study);
    await expectExactlyOnce(world, study);
    const before = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(first)}`);
    const after = await read<DiagnosticReport>(
      world,
      `DiagnosticReport/${reportIdOf(await growBy(study, first, 'PA'))}`,
    );
    expect(after.id).toBe(before.id);
    expect([before.meta?.versionId, after.meta?.versionId]).toEqual(['1', '2']);
    expect(after.status).toBe('preliminary');
    const messages = messagesFor(world, fillerOf(before));
    expect(messages).toHaveLength(2);
    const [one, two] = messages as [Buffer, Buffer];
    expect(fieldOf(two, 'OBR', 3)).toBe(fieldOf(one, 'OBR', 3));
    expect(fieldOf(two, 'MSH', 10)).not.toBe(fieldOf(one, 'MSH', 10));
    expect(fieldOf(two, 'OBR', 22) > fieldOf(one, 'OBR', 22)).toBe(true);
  }, 60_000);

  it('a late series that the model does not take changes nothing: one version, one message', async () => {
    const study = tinyStudy();
    const first = await analyse(world, study);
    await expectExactlyOnce(world, study);
    await growBy(study, first, 'LL');
    await expectExactlyOnce(world, study);
  }, 60_000);

  async function subscription(status: string) {
    return { ...(await world.server.ask('GET', `/fhir/Subscription/model-${TINY_MODEL}`)).body, status };
  }
});
