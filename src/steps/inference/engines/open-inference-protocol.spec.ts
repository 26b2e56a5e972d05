import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenInferenceServer } from '../../../../test/peers/open-inference-server.ts';
import type { EngineModel, EngineRequest, InputTensor } from './engine.ts';
import { ANSWER_BYTES_MAX, OpenInferenceProtocol, REQUEST_VALUES_MAX } from './open-inference-protocol.ts';

let server: OpenInferenceServer;
let engine: OpenInferenceProtocol;

beforeAll(async () => {
  server = await OpenInferenceServer.start();
  engine = new OpenInferenceProtocol({ hosts: [server.host] });
});
afterAll(() => server.close());

const image: InputTensor = {
  dtype: 'float32',
  dims: [1, 2, 2],
  bytes: Float32Array.of(0.5, -1, 2, 3.25).buffer,
};

function request(changes: Partial<EngineRequest> = {}, version?: string): EngineRequest {
  const model: EngineModel = {
    key: 'chest@1.0.0',
    version: '1.0.0',
    file: '',
    concurrencyMax: 1,
    engine: {
      kind: 'open-inference-protocol',
      url: `http://${server.host}/base/`,
      model: 'chest x-ray',
      ...(version ? { version } : {}),
    },
  };
  return { model, inputs: { image }, outputs: ['scores'], timeLimitMs: 2000, ...changes };
}

const answer = (outputs: unknown, version = '1.0.0') => ({
  status: 200,
  body: JSON.stringify({ model_name: 'chest x-ray', model_version: version, outputs }),
});

test('A request goes to the pinned version with flat row-major tensors and comes back as numbers', async () => {
  server.answer = () =>
    answer([{ name: 'scores', shape: [1, 2], datatype: 'FP32', data: [0.25, 0.75] }], '3');
  const result = await engine.run(request({}, '3'));
  expect(server.seen.at(-1)).toEqual({
    method: 'POST',
    path: '/base/v2/models/chest%20x-ray/versions/3/infer',
    body: {
      inputs: [{ name: 'image', shape: [1, 2, 2], datatype: 'FP32', data: [0.5, -1, 2, 3.25] }],
      outputs: [{ name: 'scores' }],
    },
  });
  expect(result.outputs['scores']?.dims).toEqual([1, 2]);
  expect([...(result.outputs['scores']?.data ?? [])]).toEqual([0.25, 0.75]);
});

test('Whole 16-bit values go as INT16 to the version of the manifest, and a nested answer is read', async () => {
  server.answer = () => answer([{ name: 'scores', shape: [2, 1], datatype: 'FP64', data: [[1], [2]] }]);
  const int16: InputTensor = { dtype: 'int16', dims: [3], bytes: Int16Array.of(-1024, 0, 3071).buffer };
  const result = await engine.run(request({ inputs: { image: int16 } }));
  expect(server.seen.at(-1)?.path).toContain('/versions/1.0.0/infer');
  expect(server.seen.at(-1)?.body).toMatchObject({ inputs: [{ datatype: 'INT16', data: [-1024, 0, 3071] }] });
  expect([...(result.outputs['scores']?.data ?? [])]).toEqual([1, 2]);
});

test.each([
  ['a model error', { status: 400, body: '{"error":"bad shape"}' }, 'inference.engine-refused'],
  ['an unknown model', { status: 404, body: '' }, 'inference.engine-refused'],
  ['a server that is full', { status: 503, body: '' }, 'inference.engine-unavailable'],
  ['too many requests', { status: 429, body: '' }, 'inference.engine-unavailable'],
  [
    'a redirect to another host',
    { status: 307, body: '', headers: { location: 'http://192.0.2.1/' } },
    'inference.engine-unavailable',
  ],
  ['no JSON', { status: 200, body: '<html>' }, 'inference.output-invalid'],
  ['another version', answer([], '2.0.0'), 'inference.engine-refused'],
  ['no such output', answer([{ name: 'other', shape: [1], data: [1] }]), 'inference.output-invalid'],
  [
    'fewer numbers than the shape',
    answer([{ name: 'scores', shape: [1, 3], data: [1, 2] }]),
    'inference.output-invalid',
  ],
  ['text for a number', answer([{ name: 'scores', shape: [1], data: ['0.5'] }]), 'inference.output-invalid'],
  ['null for a number', answer([{ name: 'scores', shape: [1], data: [null] }]), 'inference.output-invalid'],
  ['outputs that are no list', answer({ scores: 1 }), 'inference.output-invalid'],
  [
    'more bytes than the limit',
    { status: 200, body: ' '.repeat(ANSWER_BYTES_MAX + 1) },
    'inference.output-invalid',
  ],
])('An answer with %s is refused by name', async (_, scripted, code) => {
  server.answer = () => scripted;
  await expect(engine.run(request())).rejects.toMatchObject({ code });
});

test('A server that is too slow fails by name within the time limit', async () => {
  server.answer = () => ({ ...answer([]), delayMs: 1000 });
  const start = performance.now();
  await expect(engine.run(request({ timeLimitMs: 100 }))).rejects.toMatchObject({
    code: 'inference.timeout',
  });
  expect(performance.now() - start).toBeLessThan(800);
});

test('A host that is not configured is never called', async () => {
  const before = server.seen.length;
  const closed = new OpenInferenceProtocol({ hosts: ['triton.example:8000'] });
  await expect(closed.run(request())).rejects.toMatchObject({ code: 'inference.engine-refused' });
  expect(server.seen.length).toBe(before);
});

test('A volume too large for JSON, and float16, are refused before anything is sent', async () => {
  const before = server.seen.length;
  const large: InputTensor = {
    dtype: 'uint8',
    dims: [REQUEST_VALUES_MAX + 1],
    bytes: new ArrayBuffer(REQUEST_VALUES_MAX + 1),
  };
  await expect(engine.run(request({ inputs: { image: large } }))).rejects.toMatchObject({
    code: 'inference.series-too-large',
  });
  const half: InputTensor = { dtype: 'float16', dims: [1], bytes: new ArrayBuffer(2) };
  await expect(engine.run(request({ inputs: { image: half } }))).rejects.toMatchObject({
    code: 'inference.input-shape',
  });
  expect(server.seen.length).toBe(before);
});

test('A server that is not there is unavailable, to be tried again', async () => {
  const gone = await OpenInferenceServer.start();
  const host = gone.host;
  await gone.close();
  const model = {
    ...request().model,
    engine: { kind: 'open-inference-protocol' as const, url: `http://${host}`, model: 'm' },
  };
  const run = new OpenInferenceProtocol({ hosts: [host] }).run(request({ model }));
  await expect(run).rejects.toMatchObject({ code: 'inference.engine-unavailable', retry: true });
});
