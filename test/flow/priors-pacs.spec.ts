import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { List, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorklistRow } from '../../src/steps/worklist/worklist-row.ts';
import { type FlowWorld, makeWorld, order, stow, taskEnded, tasksOf, until } from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';

/**
 * A PACS that is another server of ours with a question about a patient answered as the test wants: what comes through is a real archive, and
 * what it says of priors is scripted.
 */
describe('what the PACS knows of earlier studies', () => {
  let pacs: FlowWorld;
  let world: FlowWorld;
  let gate: Server;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  let answer: 'rows' | 'silence' | 'error';
  let rows: object[] = [];
  const asked: URL[] = [];

  beforeAll(async () => {
    model = await makeTinyModel();
    pacs = await makeWorld({ settings: { PRELIM_MODELS: model.folder } });
    gate = createServer(async (request, response) => {
      const url = new URL(request.url ?? '/', 'http://pacs');
      if (url.searchParams.has('PatientID')) {
        asked.push(url);
        if (answer === 'error') return response.writeHead(503).end();
        if (answer === 'rows')
          return response
            .writeHead(200, { 'content-type': 'application/dicom+json' })
            .end(JSON.stringify(rows));
        return undefined;
      }
      const inner = await fetch(`http://127.0.0.1:${pacs.server.port}${request.url}`, {
        headers: {
          accept: String(request.headers.accept ?? '*/*'),
          authorization: `Bearer ${pacs.server.token}`,
        },
      });
      response.writeHead(inner.status, { 'content-type': inner.headers.get('content-type') ?? '' });
      return response.end(Buffer.from(await inner.arrayBuffer()));
    });
    await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
    world = await makeWorld({
      settings: {
        PRELIM_MODELS: model.folder,
        DICOMWEB_URL: `http://127.0.0.1:${(gate.address() as AddressInfo).port}/dicomweb`,
        STUDY_LOOK_INTERVAL_MS: '200',
        STUDY_QUIET_MS: '300',
      },
    });
  }, 60_000);
  afterAll(async () => {
    await world?.close();
    gate?.closeAllConnections();
    gate?.close();
    await pacs?.close();
    await model?.remove();
  });

  const row = (study: TestStudy, uid: string, date: string, more: Record<string, string> = {}) => {
    const values: Record<string, string> = {
      '0020000D': uid,
      '00080020': date,
      '00080061': 'DX',
      '00100020': study.identity.patientId,
      '00100021': study.identity.issuerOfPatientId,
      '00100030': study.identity.birthDate,
      ...more,
    };
    return Object.fromEntries(
      Object.entries(values).map(([tag, value]) => [tag, { vr: 'LO', Value: [value] }]),
    );
  };
  const analysed = async (study: TestStudy): Promise<Task> => {
    expect(await order(world, study)).toBe('AA');
    expect((await stow(pacs.server, study.files)).status).toBe(200);
    return taskEnded(world, study, 'completed');
  };
  const listOf = async (task: Task): Promise<List | null> => {
    const found = await world.server.ask('GET', `/fhir/List/${task.focus?.reference?.split('/')[1]}`);
    return found.status === 200 ? (found.body as List) : null;
  };
  const shown = async (task: Task) =>
    ((await world.server.ask('GET', `/worklist/api/rows/${task.id}`)).body as WorklistRow).priorStudies;

  it('those of this patient that the record does not know are listed as not analysed, and nobody else’s', async () => {
    const study = tinyStudy();
    answer = 'rows';
    rows = [
      row(study, '2.25.11', '20240102'),
      row(study, '2.25.12', '20250102'),
      row(study, study.uid, study.identity.studyDate),
      row(study, '2.25.13', '20990101'),
      row(study, '2.25.14', '20240102', { '00080061': 'CT' }),
      row(study, '2.25.15', '20240102', { '00100020': 'OTHER' }),
      row(study, '2.25.16', '20240102', { '00100021': 'ELSEWHERE' }),
      row(study, '2.25.17', '20240102', { '00100030': '19011224' }),
      row(study, '2.25.18', '20240102', { '00100021': '', '00100030': '' }),
      row(study, '../../etc', '20240102'),
    ];
    const task = await analysed(study);
    await until(async () => (await listOf(task)) !== null);
    expect((await listOf(task))?.entry?.map(({ item }) => item.identifier?.value)).toEqual([
      'urn:oid:2.25.12',
      'urn:oid:2.25.11',
    ]);
    expect(await shown(task)).toEqual({ studies: ['DX 2025-01-02', 'DX 2024-01-02'], asked: true });
    const day = study.identity.studyDate;
    expect(Object.fromEntries(asked.at(-1)?.searchParams ?? [])).toMatchObject({
      PatientID: study.identity.patientId,
      IssuerOfPatientID: study.identity.issuerOfPatientId,
      ModalitiesInStudy: 'DX',
      StudyDate: `${Number(day.slice(0, 4)) - 10}${day.slice(4)}-${day}`,
    });
  }, 60_000);

  it.each(['silence', 'error'] as const)(
    'a PACS that gives %s holds nothing up, and the list says that it was not asked',
    async (how) => {
      answer = how;
      const study = tinyStudy();
      const started = Date.now();
      const task = await analysed(study);
      // The question alone takes five seconds before it is given up.
      if (how === 'silence') expect(Date.now() - started).toBeLessThan(4_500);
      await until(async () => (await listOf(task)) !== null);
      expect((await listOf(task))?.emptyReason?.coding?.[0]?.code).toBe('unavailable');
      expect(await shown(task)).toEqual({ studies: [], asked: false });
      expect((await tasksOf(world, study)).map(({ status }) => status)).toEqual(['completed']);
    },
    60_000,
  );

  it('nothing found leaves nothing behind', async () => {
    answer = 'rows';
    rows = [];
    const before = asked.length;
    const task = await analysed(tinyStudy());
    await until(() => asked.length > before);
    await until(
      async () => (await world.sql.query(`SELECT 1 FROM outbox WHERE queue = 'priors'`)).rows.length === 0,
    );
    expect(await listOf(task)).toBeNull();
    expect(await shown(task)).toBeNull();
  }, 60_000);
});
