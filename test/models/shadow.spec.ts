import type { DiagnosticReport, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type FlowWorld,
  fillerOf,
  makeWorld,
  messagesFor,
  order,
  outboxEmpty,
  read,
  reportIdOf,
  stow,
  taskEnded,
} from '../flow/flow-world.ts';
import { tinyStudy } from '../flow/studies.ts';
import { makeTinyModel, TINY_MODEL } from '../flow/tiny-model.ts';

let world: FlowWorld;
let model: Awaited<ReturnType<typeof makeTinyModel>>;
beforeAll(async () => {
  model = await makeTinyModel();
  world = await makeWorld({ settings: { PRELIM_MODELS: model.folder, PRELIM_MODEL_STATE: 'shadow' } });
});
afterAll(async () => {
  await world.close();
  await model.remove();
});

const analysed = async (status: Task['status'], model?: string): Promise<Task> => {
  const study = tinyStudy();
  await order(world, study);
  expect((await stow(world.server, study.files)).status).toBe(200);
  const task = await taskEnded(world, study, status);
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
  // Another process learns of it within seconds.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  const refused = await analysed('rejected');
  expect(refused.statusReason?.text).toContain(
    'model: observed no such model is loaded here, or it is retired',
  );
}, 90_000);
