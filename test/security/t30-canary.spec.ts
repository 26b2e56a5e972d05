import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bundle, DiagnosticReport } from '@medplum/fhirtypes';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { orderMessage } from '../../demo/order-message.ts';
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
  until,
} from '../flow/flow-world.ts';
import { headStudy, tinyStudy } from '../flow/studies.ts';
import { makeTinyModel, TINY_MODEL } from '../flow/tiny-model.ts';
import { redisMissing, startRedis } from '../peers/redis.ts';
import { sendOrder } from '../peers/ris.ts';

const letters = (count: number) =>
  Array.from({ length: count }, () => String.fromCharCode(65 + randomInt(26))).join('');
const year = 1_900 + randomInt(40);

/** Nobody has this name, this number, or (among tests) this birth date: wherever they are seen, they came from this patient. */
const CANARY = {
  name: letters(16),
  mrn: letters(12),
  birth: `${year}0229`.replace('0229', '0217'),
  birthIso: `${year}-02-17`,
};
const SECRETS = [CANARY.name, CANARY.mrn, CANARY.birth, CANARY.birthIso];
const IDENTITY = { patientName: `${CANARY.name}^CANARY`, patientId: CANARY.mrn, birthDate: CANARY.birth };

describe(`T30: a patient leaves no trace outside the record, at LOG_LEVEL=debug${redisMissing() ? ' (without Redis: none here)' : ''}`, () => {
  let world: FlowWorld;
  let redis: Awaited<ReturnType<typeof startRedis>> | null = null;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  const answers: string[] = [];
  const began = Date.now();
  let hookUrl = '';
  const hooked: string[] = [];
  /** Takes what it is sent, or answers 500. */
  const listener = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    hooked.push(body);
    response.statusCode = request.url?.includes('fails') ? 500 : 200;
    response.end(request.url?.includes('fails') ? CANARY.name : '');
  });
  beforeAll(async () => {
    redis = redisMissing() ? null : await startRedis();
    model = await makeTinyModel();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as { port: number };
    hookUrl = `http://127.0.0.1:${port}`;
    world = await makeWorld({
      settings: {
        LOG_LEVEL: 'debug',
        SUBSCRIPTION_HOSTS: hookUrl.slice('http://'.length),
        SUBSCRIPTION_NETWORKS: '127.0.0.0/8',
        PRELIM_MODELS: model.folder,
        ...(redis ? { REDIS_URL: redis.url } : {}),
      },
    });
    // Rows of the outbox live for milliseconds: each state of each is copied.
    await world.sql.query(`
      CREATE TABLE outbox_seen (row text);
      CREATE FUNCTION see_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO outbox_seen VALUES (to_jsonb(NEW)::text); RETURN NULL; END $$;
      CREATE TRIGGER see AFTER INSERT OR UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION see_outbox();`);
  });
  afterAll(async () => {
    listener.closeAllConnections();
    listener.close();
    await world.close();
    await redis?.stop();
    await model.remove();
  });

  const lookInRedis = async (): Promise<string> => {
    if (!redis) return '';
    const client = new Redis(redis.url);
    let dump = '';
    for (const key of await client.keys('*'))
      dump += `${key} ${(await client.dumpBuffer(key).catch(() => null))?.toString('latin1') ?? ''}\n`;
    await client.quit();
    return dump;
  };
  const refusal = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const answer = await world.server.ask(method, path, body, headers);
    expect(answer.status, `${method} ${path.replaceAll(CANARY.name, '…')}`).toBeGreaterThanOrEqual(400);
    answers.push(answer.text);
  };

  it('is in the record and in the message to the RIS, where it belongs', async () => {
    const study = tinyStudy(IDENTITY);
    expect(await order(world, study)).toBe('AA');
    world.ris.script({ do: 'delay', ms: 300 });
    expect((await stow(world.server, study.files)).status).toBe(200);
    answers.push(await lookInRedis());
    const task = await taskEnded(world, study, 'completed');
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    await until(() => messagesFor(world, fillerOf(report)).length > 0);
    answers.push(await lookInRedis());
    expect(messagesFor(world, fillerOf(report))[0]?.toString('utf8')).toContain(CANARY.name);
    const found = (await world.server.ask('GET', `/fhir/Patient?family=${CANARY.name}`)).body as Bundle;
    expect(JSON.stringify(found)).toContain(CANARY.birthIso);
    await outboxEmpty(world);
  }, 60_000);

  it('goes to a hook that takes it and to one that does not', async () => {
    for (const place of ['takes', 'fails']) {
      const made = await world.server.ask('POST', '/fhir/Subscription', {
        resourceType: 'Subscription',
        status: 'requested',
        reason: 'test',
        criteria: 'Patient?active=true',
        channel: { type: 'rest-hook', endpoint: `${hookUrl}/${place}`, payload: 'application/fhir+json' },
      });
      expect(made.status).toBe(201);
      await until(
        async () =>
          (await world.server.ask('GET', `/fhir/Subscription/${made.body.id}`)).body.status === 'active',
      );
    }
    const made = await world.server.ask('POST', '/fhir/Patient', {
      resourceType: 'Patient',
      active: true,
      name: [{ family: CANARY.name }],
      identifier: [{ system: 'urn:x', value: CANARY.mrn }],
      birthDate: CANARY.birthIso,
    });
    expect(made.status).toBe(201);
    await until(() => hooked.filter((body) => body.includes(CANARY.mrn)).length >= 2);
    answers.push(await lookInRedis());
    answers.push((await world.server.ask('GET', '/jobs/dead')).text);
  }, 30_000);

  it('goes through every way of failing', async () => {
    const head = headStudy(IDENTITY);
    await stow(world.server, head.files);
    await taskEnded(world, head, 'rejected');
    world.ris.script({ do: 'error' }, { do: 'reject' });
    const refused = tinyStudy(IDENTITY);
    await order(world, refused);
    await stow(world.server, refused.files);
    await until(
      async () => (await world.sql.query(`SELECT 1 FROM outbox WHERE state = 'dead'`)).rows.length > 0,
    );

    const good = orderMessage(refused.exam, `C${Date.now()}`, new Date());
    const bad = [
      good.replace('OMI^O23^OMI_O23', 'ZZZ^Z99'),
      good.replace(/PV1.*/s, ''),
      good.replace('|P|2.5.1', `|${CANARY.name}|9.9`),
      good.replace(/\rOBR\|[^\r]*/, `\rOBR|${CANARY.name}|\x01`),
    ];
    for (const [n, message] of bad.entries()) {
      const ack = await sendOrder(
        world.server.mllpPort,
        message.replace(/\|C\d+\|/, `|CB${Date.now()}${n}|`),
      );
      const [, msa = ''] = ack.toString('utf8').split('\r');
      expect(msa.startsWith('MSA|A')).toBe(true);
      answers.push(ack.toString('utf8').split('\r').slice(1).join('\r'));
    }
    const [file = new Uint8Array()] = refused.files;
    for (const broken of [
      file.slice(0, 900),
      Buffer.from(file).fill(0xff, 400, 500),
      Buffer.from(`DICM ${CANARY.name}`),
    ]) {
      answers.push((await stow(world.server, [broken])).text);
    }
    await refusal('POST', '/fhir/Patient', {
      resourceType: 'Patient',
      name: CANARY.name,
      birthDate: `${CANARY.birthIso}T99`,
      [CANARY.mrn]: 1,
    });
    await refusal('POST', '/fhir/Patient', `{"resourceType":"Patient","name":[{"family":"${CANARY.name}"`, {
      'content-type': 'application/fhir+json',
    });
    await refusal('GET', `/fhir/Patient?family=${CANARY.name}&${CANARY.mrn}=1`);
    await refusal('GET', `/fhir/Patient?birthdate=${CANARY.name}`);
    await refusal('GET', `/fhir/Patient/${CANARY.name}`);
    await refusal('GET', `/fhir/${CANARY.name}/1`);
    await refusal('POST', `/fhir/ImagingStudy/${CANARY.mrn}/$analyze?model=${CANARY.name}`);
    await refusal('GET', `/dicomweb/studies?PatientName=${CANARY.name}&limit=${CANARY.mrn}`);
    await refusal('GET', `/dicomweb/studies/${CANARY.name}/metadata`, undefined, {
      accept: 'application/dicom+json',
    });
    await refusal('GET', `/worklist/api/rows/${CANARY.name}`);
    await refusal('GET', `/${CANARY.name}`);
    await refusal('GET', '/fhir/Patient', undefined, { authorization: `Bearer ${CANARY.name}` });
    await refusal(
      'POST',
      '/auth/token',
      `grant_type=client_credentials&client_id=${CANARY.name}&client_secret=${CANARY.mrn}`,
      { 'content-type': 'application/x-www-form-urlencoded' },
    );
    await refusal('POST', `/fhir/ImagingStudy/none/$analyze?model=${TINY_MODEL}`);
    answers.push(await lookInRedis());
  }, 60_000);

  it.each(['server output', 'outbox', 'metrics', 'error bodies and Redis', 'files beside the archive'])(
    'and neither patient nor token is in: %s',
    async (place) => {
      const text = await textOf(place);
      expect(text.length).toBeGreaterThan(200);
      const found = [...SECRETS, world.server.token].filter((secret) => text.includes(secret));
      expect(found.map((secret) => `${secret} in …${context(text, secret)}…`)).toEqual([]);
    },
  );

  async function textOf(place: string): Promise<string> {
    if (place === 'server output') return world.server.output();
    if (place === 'metrics') return (await world.server.ask('GET', '/metrics')).text;
    if (place === 'files beside the archive') return filesText();
    if (place === 'error bodies and Redis') return answers.join('\n');
    const { rows } = await world.sql.query('SELECT row FROM outbox_seen');
    return rows.map((row) => row.row as string).join('\n');
  }

  /** The data folder without the archive, which is the record, and what was put into the system's folder for temporary files meanwhile. */
  async function filesText(): Promise<string> {
    const folder = world.server.folder;
    const others = (await readdir(tmpdir()))
      .filter((name) => /^(prelim|ort|onnx)/.test(name))
      .map((name) => join(tmpdir(), name));
    const files = (await Promise.all([folder, ...others].map((place) => readAll(place, began)))).flat();
    return files.join('\n');
  }
});

async function readAll(place: string, since: number): Promise<string[]> {
  const info = await stat(place).catch(() => null);
  if (info?.isFile())
    return info.mtimeMs >= since && info.size < FILE_BYTES_MAX
      ? [`${place}\n${await readFile(place, 'latin1').catch(() => '')}`]
      : [];
  if (!info?.isDirectory()) return [];
  const names = (await readdir(place).catch(() => [])).filter(
    (name) => name !== 'archive' && name !== 'postgres',
  );
  return (await Promise.all(names.map((name) => readAll(join(place, name), since)))).flat();
}

const FILE_BYTES_MAX = 50_000_000;

const context = (text: string, secret: string) =>
  text.slice(Math.max(0, text.indexOf(secret) - 120), text.indexOf(secret) + 80);
