import type { MeasureReport, PlanDefinition, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PhantomOptions, phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { datasetToJson } from '../dicom/dataset-to-json.ts';
import { readPart10 } from '../dicom/read-part10.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { accessOfScopes } from '../fhir/access-context.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { validateResource } from '../fhir/validate/validate-resource.ts';
import {
  type AnalysisTask,
  completedTask,
  passedTask,
  rejectedTask,
  requestedTask,
  withScanner,
} from './analysis-task.ts';
import { ConformanceOperation } from './conformance.operation.ts';
import { ConformanceStore, SCANNERS_MAX } from './conformance.store.ts';
import { Conformance } from './conformance.ts';
import { ConformanceLog, type GateEnd } from './conformance-log.ts';
import { conformanceMeasures } from './conformance-report.ts';
import { scannerOf, scannerToDevice } from './conformance-scanner.ts';
import { ProtocolLibrary } from './protocol-library.ts';
import type { ImagingProtocol } from './protocols/protocol.ts';
import { protocolToPlan } from './protocols/protocol-to-plan.ts';

const PROTOCOL: ImagingProtocol = {
  schema: 'imaging-protocol/1',
  id: 'ct-chest',
  version: '1.0.0',
  title: 'CT chest',
  status: 'active',
  applies: { modality: ['CT'], body_part: ['CHEST'] },
  parameters: {
    kvp: { min: 100, max: 120 },
    slice_thickness_mm: { max: 5 },
    kernel: { none_of: ['B70'] },
    pitch: { max: 1.5 },
  },
};

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
let rows: ConformanceStore;
let conformance: Conformance;
let log: ConformanceLog;
let operations: OperationRegistry;
const ends: GateEnd[] = [];

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  rows = new ConformanceStore(database);
  const library = new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: [] });
  await library.start([]);
  conformance = new Conformance(library, rows, store);
  log = new ConformanceLog(store, rows, { GATE_KEPT_DAYS: 400 });
  log.onModuleInit();
  log.watch((end) => ends.push(end));
  operations = new OperationRegistry();
  new ConformanceOperation(operations, rows, store).onModuleInit();
  await database.transaction((tx) =>
    store.write(tx, [{ kind: 'update', resource: protocolToPlan(PROTOCOL) }]),
  );
});
afterAll(() => close());
beforeEach(async () => {
  ends.length = 0;
  await database.run({ text: 'TRUNCATE gate_scanner, gate_analysis, protocol_conformance' });
});

/** The headers of a phantom study, with attributes of the scanner put over them. */
function study(options: Partial<PhantomOptions>, over: Readonly<Record<string, unknown>> = {}): DicomJson[] {
  const series = phantomSeries({
    slices: 4,
    rows: 32,
    columns: 32,
    pixelSpacingMm: 8,
    sliceSpacingMm: 2,
    ...options,
  });
  return [...series.slices()].map(({ attributes, stored }) =>
    datasetToJson(
      readPart10(phantomFile({ ...attributes, SpiralPitchFactor: 1, ...over }, stored), {
        stopBeforePixels: true,
      }).dataset,
    ),
  );
}
const uidOf = (images: readonly DicomJson[]) => String(images[0]?.['0020000D']?.Value?.[0]);

const NEW_SCANNER = {
  Manufacturer: 'Acme',
  ManufacturerModelName: 'Spiral 9',
  StationName: 'CT01',
  DeviceSerialNumber: '4711',
};
const OLD_SCANNER = {
  Manufacturer: 'Acme',
  ManufacturerModelName: 'Step 2',
  StationName: 'CT02',
  DeviceSerialNumber: '815',
};

async function keep(images: readonly DicomJson[], at = new Date('2026-03-10T10:00:00Z')) {
  const judged = await conformance.judge(uidOf(images), images);
  await database.transaction((tx) => conformance.keep(tx, judged, at));
  return judged;
}

const evaluate = async (
  id: string,
  query = 'periodStart=2026-01-01&periodEnd=2026-12-31',
  scope = 'system/Measure.r system/MeasureReport.r system/Device.r',
) => {
  const operation = operations.find('instance', 'Measure', '$evaluate-measure');
  const answer = await operation!.run({
    id,
    type: 'Measure',
    query: new URLSearchParams(query),
    body: null,
    headers: {},
    access: accessOfScopes(scope),
  });
  validateResource(answer.resource!);
  return answer.resource as MeasureReport;
};

describe('conformance to the imaging protocol, of two scanners', () => {
  it('is counted by protocol, scanner and month, and says which parameter deviates', async () => {
    for (const seed of [1, 2, 3]) await keep(study({ seed }, NEW_SCANNER));
    await keep(study({ seed: 4 }, NEW_SCANNER), new Date('2026-04-01T00:00:00Z'));
    await keep(study({ seed: 5, kernel: 'B70f' }, OLD_SCANNER));
    await keep(study({ seed: 6, sliceSpacingMm: 8 }, { ...OLD_SCANNER, KVP: 140 }));
    await keep(study({ seed: 7 }, { ...OLD_SCANNER, SpiralPitchFactor: undefined }));
    const report = await evaluate('protocol-conformance');
    expect(report).toMatchObject({ resourceType: 'MeasureReport', type: 'summary', status: 'complete' });
    const byName = new Map((report.group ?? []).map((group) => [group.code?.text, group]));
    expect([...byName.keys()].sort()).toEqual([
      'ct-chest 1.0.0: CT01, Spiral 9, Acme, serial 4711',
      'ct-chest 1.0.0: CT02, Step 2, Acme, serial 815',
    ]);
    const counts = (name: string) =>
      byName.get(`ct-chest 1.0.0: ${name}`)?.population?.map(({ count }) => count);
    expect(counts('CT01, Spiral 9, Acme, serial 4711')).toEqual([4, 4]);
    expect(counts('CT02, Step 2, Acme, serial 815')).toEqual([3, 1]);
    const strata = (name: string, stratifier: string) =>
      byName
        .get(`ct-chest 1.0.0: ${name}`)
        ?.stratifier?.find(({ code }) => code?.[0]?.text === stratifier)
        ?.stratum?.map((one) => [one.value?.text, ...(one.population ?? []).map(({ count }) => count)]);
    expect(strata('CT01, Spiral 9, Acme, serial 4711', 'month')).toEqual([
      ['2026-03', 3, 3],
      ['2026-04', 1, 1],
    ]);
    expect(strata('CT02, Step 2, Acme, serial 815', 'deviating parameter')?.sort()).toEqual([
      ['Convolution kernel', 1],
      ['Slice thickness', 1],
      ['Tube voltage', 1],
    ]);
    expect(strata('CT02, Step 2, Acme, serial 815', 'not all stated')).toEqual([['not-stated', 1]]);
    const march = await evaluate('protocol-conformance', 'periodStart=2026-04-01&periodEnd=2026-04-01');
    expect(march.group?.map((group) => group.population?.[0]?.count)).toEqual([1]);
  });

  it('counts a study once, whatever asks how often, and takes the better of its series', async () => {
    const soft = study({ seed: 8 }, NEW_SCANNER);
    const sharp = study({ seed: 8, kernel: 'B70f' }, { ...NEW_SCANNER, SeriesInstanceUID: '1.2.3.4' });
    const judged = await keep([...sharp, ...soft]);
    await keep([...sharp, ...soft]);
    expect(judged.protocols.map(({ results }) => results.map(({ state }) => state))).toEqual([
      ['met', 'met', 'met', 'met'],
    ]);
    const report = await evaluate('protocol-conformance');
    expect(report.group?.map((group) => group.population?.map(({ count }) => count))).toEqual([[1, 1]]);
    expect(judged.deviationOf(soft)).toBeNull();
    expect(judged.deviationOf(sharp)).toEqual({
      observed: 'convolution kernel B70f',
      required: 'convolution kernel not B70 (ct-chest 1.0.0)',
      onlyMissing: false,
    });
  });

  it('reads an enhanced object frame by frame, in the shared groups and in those of each frame, for the count as for a rule', async () => {
    const value = (one: unknown) => ({ vr: 'DS', Value: [one] });
    const group = (macro: string, tag: string, one: unknown) => ({
      [macro]: { vr: 'SQ', Value: [{ [tag]: value(one) }] },
    });
    const enhanced = {
      '0020000D': value('1.2.99'),
      '00080060': value('CT'),
      '00180015': value('CHEST'),
      '00280010': value(512),
      '00280008': value(2),
      // Empty here says nothing of the frames.
      '00180060': { vr: 'DS' },
      '52009229': {
        vr: 'SQ',
        Value: [{ ...group('00189308', '00189311', 1.8), ...group('00189314', '00181210', 'B30f') }],
      },
      '52009230': {
        vr: 'SQ',
        Value: [120, 140].map((kvp) => ({
          ...group('00189325', '00180060', kvp),
          ...group('00289110', '00180050', 2),
        })),
      },
    } as DicomJson;
    const judged = await conformance.judge('1.2.99', [enhanced]);
    expect(judged.protocols[0]?.images).toBe(2);
    expect(judged.protocols[0]?.results.map(({ parameter, state }) => [parameter, state])).toEqual([
      ['kvp', 'deviates'],
      ['slice_thickness_mm', 'met'],
      ['pitch', 'deviates'],
      ['kernel', 'met'],
    ]);
    expect(judged.deviationOf([enhanced])?.observed).toBe('tube voltage 140 kV, spiral pitch factor 1.8');
  });

  it('leaves alone what no protocol is meant for', async () => {
    const judged = await keep(study({ seed: 9, anatomy: 'head' }));
    expect(judged.protocols).toEqual([]);
    expect((await evaluate('protocol-conformance')).group).toBeUndefined();
  });
});

describe('the scanner as a Device', () => {
  it('is written once, and then belongs to the site', async () => {
    const images = study({ seed: 10 }, { ...NEW_SCANNER, DeviceSerialNumber: 'once' });
    await keep(images);
    const { id } = scannerOf(images[0] ?? {})!;
    const stored = (await store.read('Device', id))!.parse<Task & { id: string }>();
    const edited = { ...stored, note: [{ text: 'Building 2' }] };
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: edited }]));
    const fresh = new Conformance(
      new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: [] }),
      rows,
      store,
    );
    const judged = await fresh.judge(uidOf(images), images);
    await database.transaction((tx) => fresh.keep(tx, judged, new Date()));
    expect((await store.read('Device', id))?.versionId).toBe('2');
  });

  it.each([
    ['the name of the patient', { StationName: 'PHANTOM CT', DeviceSerialNumber: 'X1' }, 'X1'],
    ['the number of the patient', { StationName: '', DeviceSerialNumber: 'PHANTOM-11' }, ''],
    ['what is no device name', { StationName: '=cmd|calc', DeviceSerialNumber: '<b>7</b>' }, ''],
  ])('does not take %s', (_what, over, serial) => {
    const [image] = study({ seed: 11 }, { Manufacturer: 'Acme', ManufacturerModelName: 'M', ...over });
    expect(scannerOf(image ?? {})).toMatchObject({ manufacturer: 'Acme', model: 'M', station: '', serial });
  });

  it('stops telling scanners apart when somebody makes up more than there can be', async () => {
    await database.run({
      text: `INSERT INTO gate_scanner SELECT 'scanner-' || n, now() FROM generate_series(1, ${SCANNERS_MAX}) AS n`,
    });
    await keep(study({ seed: 12 }, { ...NEW_SCANNER, DeviceSerialNumber: 'one-too-many' }));
    const report = await evaluate('protocol-conformance');
    expect(report.group?.map(({ code }) => code?.text)).toEqual([
      'ct-chest 1.0.0: scanners that do not name themselves',
    ]);
  });
});

describe('verdicts of the gate', () => {
  const task = (n: number): AnalysisTask => {
    const study = {
      resourceType: 'ImagingStudy',
      id: `s${n}`,
      status: 'available',
      subject: { reference: 'Patient/p' },
    } as const;
    return requestedTask(
      { study, studyInstanceUid: `1.2.${n}`, model: 'm@1.0.0' },
      new Date('2026-05-05T05:05:05Z'),
    );
  };
  const now = new Date('2026-05-05T06:00:00Z');
  const write = (resource: AnalysisTask) =>
    database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));
  const refusal = (rule: string) => ({ rule, observed: 'a', required: 'b' });

  it('are counted by scanner, outcome and rule, once per analysis', async () => {
    const scanner = scannerOf(study({ seed: 13 }, OLD_SCANNER)[0] ?? {});
    const id = await database.transaction((tx) => conformance.keepScanner(tx, scanner, now));
    for (let run = 0; run < 2; run++) {
      await write(withScanner(task(1), id));
      await write(rejectedTask(withScanner(task(1), id), [refusal('body-part'), refusal('slices')], now));
    }
    await write(rejectedTask(withScanner(task(2), id), [refusal('body-part')], now));
    await write(
      completedTask(withScanner(task(3), id), { reference: 'DiagnosticReport/r' }, now, [refusal('kernel')]),
    );
    await write(completedTask(passedTask(task(4), [], now), { reference: 'DiagnosticReport/r' }, now));
    // An edit of a Task that has ended is no new end.
    await write({
      ...rejectedTask(withScanner(task(2), id), [refusal('body-part')], now),
      priority: 'urgent',
    });
    const { group } = await evaluate('gate-verdicts');
    expect(group?.map(({ code, population }) => [code?.text, population?.map(({ count }) => count)])).toEqual(
      [
        ['scanners that do not name themselves', [1, 0]],
        ['CT02, Step 2, Acme, serial 815', [3, 2]],
      ],
    );
    const strata = group?.[1]?.stratifier?.map(({ code, stratum }) => [
      code?.[0]?.text,
      stratum?.map(({ value, population }) => [value?.text, population?.[0]?.count]),
    ]);
    expect(strata).toEqual([
      [
        'outcome',
        [
          ['refused', 2],
          ['warned', 1],
        ],
      ],
      [
        'refused by rule',
        [
          ['body-part', 2],
          ['slices', 1],
        ],
      ],
      ['warned by rule', [['kernel', 1]]],
    ]);
    expect(ends.filter(({ outcome }) => outcome === 'refused')).toHaveLength(3);
    expect(ends.at(-1)).toEqual({ outcome: 'passed', rules: [] });
  });

  it('travel with the finished analysis as output and note of its Task', () => {
    const done = completedTask(task(5), { reference: 'DiagnosticReport/r' }, now, [refusal('kernel')]);
    expect(done.output?.[1]?.valueCodeableConcept).toMatchObject({ coding: [{ code: 'kernel' }] });
    expect(done.note).toEqual([{ text: 'kernel: observed a; required b' }]);
  });

  it('are forgotten after the days the site keeps them', async () => {
    await write(rejectedTask(task(6), [refusal('age')], now));
    await rows.prune(new Date('2026-05-05T06:00:01Z'));
    expect((await evaluate('gate-verdicts')).group).toBeUndefined();
  });
});

describe('$evaluate-measure', () => {
  it('is of Measures that say in words what is counted, and are valid R4 as the Device of a scanner is', () => {
    for (const measure of conformanceMeasures()) expect(() => validateResource(measure)).not.toThrow();
    const scanner = { id: 'scanner-1', manufacturer: 'A', model: 'B', station: 'C', serial: 'D' };
    expect(() => validateResource(scannerToDevice(scanner))).not.toThrow();
  });

  it.each([
    ['gate-verdicts', '', 'fhir.invalid'],
    ['gate-verdicts', 'periodStart=2026-02-30&periodEnd=2026-03-01x', 'fhir.invalid'],
    ['gate-verdicts', 'periodStart=2026-02-31&periodEnd=2026-03-31', 'fhir.invalid'],
    ['gate-verdicts', 'periodStart=2026-03-02&periodEnd=2026-03-01', 'fhir.invalid'],
    ['gate-verdicts', 'periodStart=2026-03-01&periodEnd=2026-03-01&subject=Patient/1', 'fhir.unsupported'],
    ['gate-verdicts', 'periodStart=2026-03-01&periodEnd=2026-03-01&reportType=subject', 'fhir.unsupported'],
    ['other', 'periodStart=2026-03-01&periodEnd=2026-03-01', 'fhir.not-found'],
  ])('refuses %s?%s as %s', async (id, query, code) => {
    await expect(evaluate(id, query)).rejects.toMatchObject({ code });
  });

  it('needs the scopes, and names scanners only to those who may read Devices', async () => {
    await expect(evaluate('gate-verdicts', undefined, 'system/Measure.r')).rejects.toMatchObject({
      code: 'auth.scope',
    });
    await keep(study({ seed: 14 }, { ...NEW_SCANNER, DeviceSerialNumber: 'secret' }));
    const report = await evaluate(
      'protocol-conformance',
      undefined,
      'system/Measure.r system/MeasureReport.r',
    );
    expect(JSON.stringify(report)).not.toContain('secret');
  });
});

describe('the library over FHIR', () => {
  const put = (plan: PlanDefinition & { id: string }) =>
    database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: plan }]));

  it('compares with what a site changed, from its commit on', async () => {
    const images = study({ seed: 15 }, NEW_SCANNER);
    const looser = { ...PROTOCOL, version: '1.1.0', parameters: { kvp: { max: 80 } } };
    await put(protocolToPlan(looser));
    expect((await keep(images)).deviationOf(images)?.observed).toBe('tube voltage 120 kV');
    await put(protocolToPlan({ ...looser, status: 'retired' }));
    expect((await keep(images)).protocols).toEqual([]);
    await put(protocolToPlan(PROTOCOL));
  });

  it('refuses a protocol that it could not compare with, and keeps the one that was there', async () => {
    const plan = protocolToPlan(PROTOCOL);
    const wrongUnit = structuredClone(plan);
    wrongUnit.goal![0]!.target![0]!.detailRange!.low!.code = 'V';
    await expect(put(wrongUnit)).rejects.toMatchObject({
      code: 'fhir.validation',
      issues: [{ at: 'PlanDefinition.goal[0].target[0].low', text: 'the unit must be kV (UCUM)' }],
    });
    const unknown = structuredClone(plan);
    unknown.goal![0]!.target![0]!.measure!.coding![0]!.code = 'flux';
    await expect(put(unknown)).rejects.toMatchObject({ code: 'fhir.validation' });
    await expect(put({ ...plan, useContext: [] })).rejects.toMatchObject({ code: 'fhir.validation' });
    expect((await store.read('PlanDefinition', PROTOCOL.id))?.parse()).toMatchObject({ goal: plan.goal });
  });

  it('has nothing to say to other PlanDefinitions', async () => {
    await put({ resourceType: 'PlanDefinition', id: 'diet', status: 'active', title: 'Diet' });
  });
});
