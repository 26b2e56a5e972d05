import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { binaryAnswer, OpenInferenceServer } from '../../../../test/peers/open-inference-server.ts';
import { CIRCUIT_FAILURES_MAX, CIRCUIT_OPEN_MS, CircuitBreaker } from './circuit-breaker.ts';
import type { EngineModel, EngineRequest, InputTensor } from './engine.ts';
import { ANSWER_BYTES_MAX, RETRIES_MAX } from './oip-http.ts';
import { REQUEST_VALUES_MAX } from './oip-request.ts';
import { OnnxEngine } from './onnx-engine.ts';
import { OpenInferenceProtocol } from './open-inference-protocol.ts';

let server: OpenInferenceServer;
let engine: OpenInferenceProtocol;

beforeAll(async () => {
  server = await OpenInferenceServer.start();
});
afterAll(() => server.close());
beforeEach(() => {
  server.seen.length = 0;
  server.extensions = [];
  server.isReady = true;
  server.model = {
    name: 'chest x-ray',
    versions: ['1.0.0', '3'],
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 2, 2] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
  };
  engine = new OpenInferenceProtocol({ hosts: [server.host] });
});

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
  expect(server.seen.at(-1)).toMatchObject({
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
  server.model = { ...served(), inputs: [{ name: 'image', datatype: 'INT16', shape: [3] }] };
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
  await expect(engine.run(request({ timeLimitMs: 300 }))).rejects.toMatchObject({
    code: 'inference.timeout',
  });
});

test('A host that is not configured is never called', async () => {
  const before = server.seen.length;
  const closed = new OpenInferenceProtocol({ hosts: ['triton.example:8000'] });
  await expect(closed.run(request())).rejects.toMatchObject({ code: 'inference.engine-refused' });
  expect(server.seen.length).toBe(before);
});

test('A volume too large for JSON, and float16, are refused before pixels are sent', async () => {
  const large: InputTensor = {
    dtype: 'uint8',
    dims: [REQUEST_VALUES_MAX + 1],
    bytes: new ArrayBuffer(REQUEST_VALUES_MAX + 1),
  };
  server.model = { ...served(), inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1] }] };
  await expect(engine.run(request({ inputs: { image: large } }))).rejects.toMatchObject({
    code: 'inference.series-too-large',
  });
  const half: InputTensor = { dtype: 'float16', dims: [1], bytes: new ArrayBuffer(2) };
  server.model = { ...served(), inputs: [{ name: 'image', datatype: 'FP16', shape: [-1] }] };
  const other = new OpenInferenceProtocol({ hosts: [server.host] });
  await expect(other.run(request({ inputs: { image: half } }))).rejects.toMatchObject({
    code: 'inference.input-shape',
  });
  expect(server.inferences).toEqual([]);
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

const served = () => {
  if (!server.model) throw new Error('no model');
  return server.model;
};

describe('metadata', () => {
  test.each([
    [
      'another type',
      { inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, 2, 2] }] },
      /is UINT8, not FP32/,
    ],
    [
      'another shape',
      { inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 3, 2] }] },
      /takes \[-1,3,2\].*give \[1,2,2\]/,
    ],
    [
      'another input',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }] },
      /no input "image"; it also needs the input "x"/,
    ],
    ['another output', { outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }] }, /no output "scores"/],
  ])(
    'A model with %s than the manifest says is refused by name, and sees no pixel',
    async (_, changes, text) => {
      server.model = { ...served(), ...changes };
      await expect(engine.run(request())).rejects.toMatchObject({
        code: 'inference.engine-refused',
        retry: false,
        message: expect.stringMatching(text),
      });
      expect(server.inferences).toEqual([]);
    },
  );

  test('A model or version that the server does not have is refused', async () => {
    await expect(engine.run(request({}, '9'))).rejects.toMatchObject({ code: 'inference.engine-refused' });
    expect(server.inferences).toEqual([]);
  });

  test('It is asked once for many runs', async () => {
    server.answer = () => answer([{ name: 'scores', shape: [1, 2], datatype: 'FP32', data: [0, 1] }]);
    await engine.run(request());
    await engine.run(request());
    expect(server.seen.filter(({ method }) => method === 'GET').length).toBe(2);
  });

  test('Health: null when server and model are ready, else what is not', async () => {
    expect(await engine.health(request().model)).toBeNull();
    server.isReady = false;
    expect(await engine.health(request().model)).toMatch(/server is not ready/);
    server.isReady = true;
    expect(await engine.health(request({}, '9').model)).toMatch(/model is not ready/);
  });
});

describe('the binary tensor data extension', () => {
  const about = { model_name: 'chest x-ray', model_version: '1.0.0' };
  const scores = (bytes: Uint8Array) => ({ name: 'scores', datatype: 'FP32', shape: [1, 2], bytes });

  test('Tensors go behind the JSON as bytes, and come back so', async () => {
    server.extensions = ['classification', 'binary_tensor_data'];
    server.answer = () => binaryAnswer(about, [scores(new Uint8Array(Float32Array.of(0.125, -2).buffer))]);
    const { outputs } = await engine.run(request());
    const [sent] = server.inferences;
    expect(sent?.body).toEqual({
      inputs: [{ name: 'image', shape: [1, 2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } }],
      outputs: [{ name: 'scores', parameters: { binary_data: true } }],
    });
    expect(Buffer.from(image.bytes as ArrayBuffer).equals(sent?.binary ?? Buffer.alloc(0))).toBe(true);
    expect(outputs['scores']?.data).toEqual(Float32Array.of(0.125, -2));
  });

  test('float16 goes as FP16, and a volume that is too large for JSON goes too', async () => {
    server.extensions = ['binary_tensor_data'];
    const dims = [2, 1024, 1024];
    server.model = { ...served(), inputs: [{ name: 'image', datatype: 'FP16', shape: [-1, -1, -1] }] };
    server.answer = () => binaryAnswer(about, [scores(new Uint8Array(8))]);
    const half: InputTensor = { dtype: 'float16', dims, bytes: new SharedArrayBuffer(2 * 2 * 1024 * 1024) };
    await engine.run(request({ inputs: { image: half } }));
    expect(server.inferences[0]?.binary.byteLength).toBe(2 * 2 * 1024 * 1024);
  });

  test.each([
    ['fewer bytes than it says', () => ({ ...binaryAnswer(about, [scores(new Uint8Array(8))]), cut: 4 })],
    ['fewer bytes than its shape', () => ({ ...binaryAnswer(about, [scores(new Uint8Array(4))]), cut: 0 })],
    [
      'bytes that belong to nothing',
      () => ({ ...binaryAnswer(about, [scores(new Uint8Array(8))]), cut: -4 }),
    ],
  ])('An answer with %s is refused by name', async (_, scripted) => {
    server.extensions = ['binary_tensor_data'];
    server.answer = () => {
      const { cut, body, ...rest } = scripted();
      const bytes = Buffer.from(body as Uint8Array);
      return {
        ...rest,
        body: cut < 0 ? Buffer.concat([bytes, Buffer.alloc(-cut)]) : bytes.subarray(0, bytes.length - cut),
      };
    };
    await expect(engine.run(request())).rejects.toMatchObject({ code: 'inference.output-invalid' });
  });

  test('A length of the JSON that cannot be is refused', async () => {
    server.answer = () => ({ ...answer([]), headers: { 'inference-header-content-length': '99999' } });
    await expect(engine.run(request())).rejects.toMatchObject({ code: 'inference.output-invalid' });
  });
});

describe('retries and the circuit breaker', () => {
  const good = () => answer([{ name: 'scores', shape: [1, 2], datatype: 'FP32', data: [0, 1] }]);

  test('A server that is busy for a moment is asked again, at most so often', async () => {
    let asked = 0;
    server.answer = () => (++asked <= RETRIES_MAX ? { status: 503, body: '' } : good());
    expect((await engine.run(request())).outputs['scores']?.dims).toEqual([1, 2]);
    server.answer = () => ({ status: 503, body: '' });
    const before = server.inferences.length;
    await expect(engine.run(request())).rejects.toMatchObject({ code: 'inference.engine-unavailable' });
    expect(server.inferences.length - before).toBe(RETRIES_MAX + 1);
  });

  test('A refusal (400) and an error of the model (500) are not asked again', async () => {
    for (const status of [400, 500]) {
      server.answer = () => ({ status, body: '{"error":"no"}' });
      const before = server.inferences.length;
      await expect(engine.run(request())).rejects.toMatchObject({ retry: status === 500 });
      expect(server.inferences.length - before).toBe(1);
    }
  });

  test('After failures in a row the server is left alone; then one call tries, and success closes the circuit', async () => {
    let now = 0;
    const breaker = new CircuitBreaker(() => now);
    engine = new OpenInferenceProtocol({ hosts: [server.host], breaker });
    server.answer = () => ({ status: 500, body: '' });
    for (let i = 0; i < CIRCUIT_FAILURES_MAX; i++) await expect(engine.run(request())).rejects.toThrow();
    const seen = server.seen.length;
    await expect(engine.run(request())).rejects.toMatchObject({
      code: 'inference.engine-unavailable',
      message: expect.stringContaining('is not called'),
    });
    expect(server.seen.length).toBe(seen);
    now = CIRCUIT_OPEN_MS;
    server.answer = () => ({ ...good(), delayMs: 50 });
    const tries = await Promise.allSettled([engine.run(request()), engine.run(request())]);
    expect(tries.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await engine.run(request());
  });

  test('Refusals do not open the circuit: the server is well', async () => {
    server.answer = () => ({ status: 400, body: '' });
    for (let i = 0; i <= CIRCUIT_FAILURES_MAX; i++)
      await expect(engine.run(request())).rejects.toMatchObject({ code: 'inference.engine-refused' });
  });
});

const CHEST = '../shared/data/models/cxr15-mobilenetv3-int8/model.onnx';
describe.skipIf(!existsSync(CHEST))(existsSync(CHEST) ? 'both engines' : 'skipped: no shared data', () => {
  test.each([[[]], [['binary_tensor_data']]])(
    'give the same numbers for the same input (extensions: %j)',
    async (extensions) => {
      const onnx = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });
      const local: EngineModel = {
        ...request().model,
        key: 'local@1',
        file: CHEST,
        engine: { kind: 'onnx' },
      };
      server.extensions = extensions;
      server.model = {
        ...served(),
        inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 1, 224, 224] }],
        outputs: [{ name: 'output', datatype: 'FP32', shape: [-1, 15] }],
      };
      // A server that computes: the same file, behind the protocol.
      server.answer = async ({ body, binary }) => {
        const { data } = (body as { inputs: { data?: number[] }[] }).inputs[0] ?? {};
        const bytes = data ? Float32Array.from(data).buffer : new Uint8Array(binary).buffer;
        const given: InputTensor = { dtype: 'float32', dims: [1, 1, 224, 224], bytes };
        const { outputs } = await onnx.run({ ...own, model: local, inputs: { input: given } });
        const scores = outputs['output']?.data as Float32Array;
        const output = { name: 'output', datatype: 'FP32', shape: [1, 15] };
        return extensions.length > 0
          ? binaryAnswer({ model_name: 'chest x-ray', model_version: '1.0.0' }, [
              { ...output, bytes: new Uint8Array(scores.buffer as ArrayBuffer) },
            ])
          : answer([{ ...output, data: Array.from(scores) }]);
      };
      const values = Float32Array.from({ length: 224 * 224 }, (_, i) => Math.sin(i / 37));
      const input: InputTensor = { dtype: 'float32', dims: [1, 1, 224, 224], bytes: values.buffer };
      const own = request({ inputs: { input }, outputs: ['output'], timeLimitMs: 10_000 });
      const [here, there] = [await onnx.run({ ...own, model: local }), await engine.run(own)];
      expect(there.outputs).toEqual(here.outputs);
      await onnx.close();
    },
    20_000,
  );
});
