import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dicomwebConnection } from './dicomweb-connection.ts';
import { PATIENT_STUDIES_MAX, PATIENT_STUDIES_MS_MAX, queryPatientStudies } from './query-patient-studies.ts';

const ASKED = {
  patientId: 'P1',
  issuer: null,
  birthDate: '19700101',
  modality: 'CT',
  from: '20160101',
  to: '20260101',
};
const row = (at: number) => ({
  '0020000D': { vr: 'UI', Value: [`1.2.${at + 1}`] },
  '00080020': { vr: 'DA', Value: ['20200101'] },
  '00100020': { vr: 'LO', Value: ['P1'] },
  '00100030': { vr: 'DA', Value: ['19700101'] },
  '00080061': { vr: 'CS', Value: ['CT'] },
});

/** A PACS that answers any question with so many rows, whatever was asked; none: it does not answer. */
let server: Server;
let rows: number | null;
let asked: IncomingMessage[];
beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request);
    if (rows === null) return;
    response.writeHead(200, { 'content-type': 'application/dicom+json' });
    response.end(JSON.stringify(Array.from({ length: rows }, (_, at) => row(at))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  vi.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const query = () => {
  const root = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return queryPatientStudies(dicomwebConnection(root), ASKED);
};

describe('the studies of one patient', () => {
  it('are so many at most, also from a PACS that gives more than it was asked for', async () => {
    rows = PATIENT_STUDIES_MAX;
    expect(await query()).toHaveLength(PATIENT_STUDIES_MAX);
    expect(new URL(asked[0]?.url ?? '', 'http://x').searchParams.get('limit')).toBe(
      String(PATIENT_STUDIES_MAX),
    );
    rows = PATIENT_STUDIES_MAX + 1;
    expect(await query()).toHaveLength(PATIENT_STUDIES_MAX);
  });

  it('are waited for so long, and no longer', async () => {
    rows = null;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let ended: unknown = null;
    const answer = query().catch((error: unknown) => {
      ended = error;
    });
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(PATIENT_STUDIES_MS_MAX - 1);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBeNull();
    vi.advanceTimersByTime(1);
    await answer;
    expect(ended).toMatchObject({ code: 'dicomweb.timeout' });
  });
});
