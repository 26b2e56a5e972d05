import type { DiagnosticReport, Task } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import {
  fillerOf,
  messagesFor,
  order,
  outboxEmpty,
  read,
  reportIdOf,
  stow,
  tasksOf,
  until,
} from '../flow/flow-world.ts';
import { tinyStudy } from '../flow/studies.ts';
import { TINY_MODEL } from '../flow/tiny-model.ts';
import { tinyWorld } from '../flow/tiny-world.ts';

const world = tinyWorld({ settings: { PRELIM_MODEL_STATE: 'shadow' } });

const LEARNS_MS_MAX = 8_000;

/** One more study, analysed or refused. */
async function ended(): Promise<Task> {
  const study = tinyStudy();
  await order(world, study);
  expect((await stow(world.server, study.files)).status).toBe(200);
  let task: Task | undefined;
  await until(async () => {
    [task] = await tasksOf(world, study);
    return task?.status === 'completed' || task?.status === 'rejected';
  });
  return task as Task;
}

const analysed = async (status: Task['status'], model?: string): Promise<Task> => {
  const task = await ended();
  expect(task.status).toBe(status);
  if (model) expect(task.input?.[0]?.valueString).toBe(model);
  await outboxEmpty(world);
  return task;
};

const release = (state: string) =>
  world.sql.query(
    `INSERT INTO model_release (model, state, at, released_by, reason, sha256, proof)
     SELECT $1, $2, now(), 'Dr Who', '', substring(note->>'text' from '[0-9a-f]{64}'), ''
     FROM resource, json_array_elements(content::json->'note') AS note
     WHERE type = 'Device' AND id = $3 AND note->>'text' LIKE 'SHA-256%'`,
    [`${TINY_MODEL}@1.0.0`, state, `model-${TINY_MODEL}-1.0.0`],
  );

it('A model in shadow runs and its record is written, and the RIS hears nothing; released, the next study goes out; retired, it is refused by name', async () => {
  const shadow = await read<DiagnosticReport>(
    world,
    `DiagnosticReport/${reportIdOf(await analysed('completed', `${TINY_MODEL}@1.0.0`))}`,
  );
  expect(shadow.result?.length).toBe(1);
  expect(messagesFor(world, fillerOf(shadow))).toEqual([]);
  expect(world.ris.messages.length).toBe(0);

  await release('pilot');
  const sent = await read<DiagnosticReport>(
    world,
    `DiagnosticReport/${reportIdOf(await analysed('completed'))}`,
  );
  expect(messagesFor(world, fillerOf(sent)).length).toBe(1);
  expect(world.ris.messages.length).toBe(1);

  await release('retired');
  // Another process learns of it within seconds; until then its studies are still analysed.
  let refused: Task | undefined;
  for (const end = Date.now() + LEARNS_MS_MAX; refused?.status !== 'rejected'; ) {
    expect(Date.now()).toBeLessThan(end);
    refused = await ended();
  }
  expect(refused.statusReason?.text).toContain(
    'model: observed no such model is loaded here, or it is retired',
  );
}, 90_000);
