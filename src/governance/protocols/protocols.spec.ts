import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PlanDefinition } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import schema from '../../../protocols/imaging-protocol-1.schema.json' with { type: 'json' };
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { validateResource } from '../../fhir/validate/validate-resource.ts';
import { ProtocolLibrary } from '../protocol-library.ts';
import { checkProtocol } from './check-protocol.ts';
import { judgeProtocol } from './judge-protocol.ts';
import { matchProtocol } from './match-protocol.ts';
import { PARAMETERS } from './parameters.ts';
import { PART_SYSTEM } from './plan-codes.ts';
import { planToProtocol } from './plan-to-protocol.ts';
import type { ImagingProtocol } from './protocol.ts';
import { protocolToPlan } from './protocol-to-plan.ts';
import { readProtocols } from './read-protocols.ts';

const OWN = resolve(import.meta.dirname, '../../../protocols');
const shipped = (await readProtocols([OWN])).protocols;

const image = (tags: Readonly<Record<string, unknown>>): DicomJson =>
  Object.fromEntries(
    Object.entries(tags).map(([tag, value]) => [
      tag,
      { vr: 'UN', Value: Array.isArray(value) ? value : [value] },
    ]),
  );
const CT = { '00080060': 'CT', '00180015': 'CHEST', '00101010': '060Y' };

describe('protocols as files', () => {
  it('those shipped are sound, and drafts: what a site promises is for the site to say', async () => {
    expect(shipped.map(({ id }) => id)).toEqual(['ct-chest-routine-adult', 'dx-chest-pa-adult']);
    expect(new Set(shipped.map(({ status }) => status))).toEqual(new Set(['draft']));
    expect((await readProtocols([OWN])).refused).toEqual([]);
  });

  it('the schema names every parameter that can be compared, and no other', () => {
    expect(Object.keys(schema.properties.parameters.properties)).toEqual(Object.keys(PARAMETERS));
    for (const [name, definition] of Object.entries(PARAMETERS)) {
      const { $ref } = schema.properties.parameters.properties[name as keyof typeof PARAMETERS];
      expect($ref, name).toBe(`#/$defs/${definition.kind}`);
    }
  });

  it('are refused with every fault, each with its place, and do not keep the others from counting', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'protocols-'));
    try {
      const good = JSON.stringify({ ...shipped[0], id: 'good' });
      writeFileSync(join(folder, 'a.yaml'), good);
      writeFileSync(join(folder, 'b.yaml'), good);
      writeFileSync(join(folder, 'c.yml'), 'schema: [');
      writeFileSync(join(folder, 'd.yaml'), `${'a: &a [1]\n'}${'b: [*a]\n'.repeat(1)}`);
      writeFileSync(
        join(folder, 'e.yaml'),
        JSON.stringify({ ...shipped[0], id: 'Bad Id', parameters: { kvp: { min: 5, max: 1 }, flux: {} } }),
      );
      mkdirSync(join(folder, 'f.yaml'));
      symlinkSync(join(folder, 'nowhere'), join(folder, 'g.yaml'));
      writeFileSync(join(folder, 'notes.txt'), 'no protocol');
      const { protocols, refused } = await readProtocols([folder, join(folder, 'none')]);
      expect(protocols.map(({ id }) => id)).toEqual(['good']);
      expect(refused.map(({ file }) => file.slice(folder.length + 1))).toEqual([
        'b.yaml',
        'c.yml',
        'd.yaml',
        'e.yaml',
        'f.yaml',
        'g.yaml',
        'none',
      ]);
      expect(refused[3]?.faults.map(({ at }) => at).sort()).toEqual(['/id', '/parameters']);
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(checkProtocol({ ...shipped[0], parameters: { kvp: { min: 5, max: 1 } } }).faults).toEqual([
      { at: '/parameters/kvp', text: 'min is greater than max: no study can conform' },
    ]);
    const parametersAt = (parameters: object) =>
      checkProtocol({ ...shipped[0], parameters }).faults.map(({ at }) => at);
    expect(parametersAt({ patient_position: { one_of: ['HFS'], none_of: ['hfs'] } })).toEqual([
      '/parameters/patient_position',
    ]);
    expect(parametersAt({ kernel: { one_of: ['B30'], none_of: ['B'] } })).toEqual(['/parameters/kernel']);
    expect(parametersAt({ kernel: { one_of: ['B30', 'I31'], none_of: ['B'] } })).toEqual([]);
    expect(parametersAt({ contrast: { one_of: ['yes'] } })).toEqual(['/parameters/contrast']);
    for (const value of [null, 7, 'x', [], { schema: 'imaging-protocol/1' }])
      expect(checkProtocol(value).protocol).toBeNull();
  });
});

describe('a protocol as PlanDefinition', () => {
  const full: ImagingProtocol = {
    ...shipped[0]!,
    references: ['A paper'],
    contrast_agent: ['None'],
    applies: { ...shipped[0]!.applies, view: ['PA'], words: ['ROUTINE'] },
    parameters: { ...shipped[0]!.parameters, patient_position: { one_of: ['HFS', 'FFS'], none_of: ['HFP'] } },
  };

  it.each([...shipped, full])('$id comes back as it went', (protocol) => {
    expect(planToProtocol(protocolToPlan(protocol))).toEqual({ protocol, faults: [] });
  });

  it('is refused where two values are given for what has one, a range is excluded, or an end has no value', () => {
    const plan = protocolToPlan(full);
    const placesOf = (more: Partial<PlanDefinition>) =>
      planToProtocol({ ...plan, ...more }).faults.map(({ at }) => at);
    const withRange = plan.goal!.find((goal) => goal.target?.some((one) => one.detailRange))!;
    const range = withRange.target!.find((one) => one.detailRange)!;
    const excluded = { coding: [{ system: PART_SYSTEM, code: 'excluded' }] };
    const { value: _value, ...noValue } = range.detailRange!.high!;
    expect(placesOf({ goal: [{ ...withRange, target: [range, range] }] })).toEqual(['goal[0].target[1]']);
    expect(placesOf({ goal: [{ ...withRange, category: excluded, target: [range] }] })).toEqual([
      'goal[0].target[0]',
    ]);
    const target = [{ ...range, detailRange: { ...range.detailRange, high: noValue } }];
    expect(placesOf({ goal: [{ ...withRange, target }] })).toEqual(['goal[0].target[0].high']);
    const age = plan.useContext!.filter(({ code }) => code.code === 'age');
    expect(placesOf({ useContext: [...plan.useContext!, ...age] })).toEqual([
      `useContext[${plan.useContext!.length}].code`,
    ]);
  });

  it('is valid R4', async () => {
    await loadDefinitions();
    for (const protocol of [...shipped, full]) {
      expect(() => validateResource(protocolToPlan(protocol))).not.toThrow();
    }
  });
});

describe('which protocol is meant, and what deviates', () => {
  const base: ImagingProtocol = {
    schema: 'imaging-protocol/1',
    id: 'a',
    version: '1',
    title: 'A',
    status: 'active',
    applies: { modality: ['CT'] },
    parameters: { kvp: { min: 100, max: 120 } },
  };

  it('is the active one that says most about what it is for', () => {
    const chest = { ...base, id: 'chest', applies: { modality: ['CT'], body_part: ['THORAX'] } };
    const withAgent = { ...base, id: 'agent', applies: { ...chest.applies, contrast: 'given' as const } };
    const child = { ...base, id: 'child', applies: { ...chest.applies, age_years: { max: 18 } } };
    const all = [
      base,
      chest,
      withAgent,
      child,
      { ...chest, id: 'draft', status: 'draft' as const, applies: { ...chest.applies, words: ['X'] } },
    ];
    expect(matchProtocol([image(CT)], all)?.id).toBe('chest');
    expect(matchProtocol([image({ ...CT, '00180010': 'AGENT' })], all)?.id).toBe('agent');
    expect(matchProtocol([image({ ...CT, '00101010': '004Y' })], all)?.id).toBe('child');
    expect(matchProtocol([image({ ...CT, '00180015': 'KNEE' })], all)?.id).toBe('a');
    expect(matchProtocol([image({ ...CT, '00080060': 'MR' })], all)).toBeNull();
    expect(matchProtocol([], all)).toBeNull();
  });

  const judge = (parameters: ImagingProtocol['parameters'], ...images: DicomJson[]) =>
    judgeProtocol(images, { parameters }).map(({ state, observed, required }) => [state, observed, required]);

  it('a number is compared in every image, one that is modulated by its mean, to a millionth', () => {
    const at = (kvp: number, current: number) => image({ ...CT, '00180060': kvp, '00181151': current });
    expect(judge({ kvp: { max: 120 } }, at(120, 1), at(140, 1))).toEqual([
      ['deviates', 'tube voltage 140 kV', 'tube voltage at most 120 kV'],
    ]);
    expect(judge({ tube_current_ma: { min: 90, max: 110 } }, at(120, 50), at(120, 150))).toEqual([
      ['met', 'tube current 100 mA', 'tube current 90 to 110 mA'],
    ]);
    expect(judge({ kvp: { min: 120 } }, at(119.99999, 1))[0]?.[0]).toBe('met');
    expect(judge({ kvp: { max: 120 } }, image(CT))).toEqual([
      ['not-stated', 'no tube voltage', 'tube voltage at most 120 kV'],
    ]);
  });

  it('mAs come from µAs where the whole number is missing or was rounded to 0', () => {
    expect(
      judge({ exposure_mas: { max: 3 } }, image({ ...CT, '00181153': 2500, '00181152': 0 }))[0]?.[1],
    ).toBe('exposure 2.5 mAs');
  });

  it('finds a parameter in the shared functional groups of an enhanced object', () => {
    const enhanced = image({ ...CT, '52009229': [image({ '00189325': [image({ '00180060': 140 })] })] });
    expect(judge({ kvp: { max: 120 } }, enhanced)[0]?.[1]).toBe('tube voltage 140 kV');
  });

  it('each value of an attribute counts: one is enough for one_of, none may be in none_of', () => {
    const mr = image({
      ...CT,
      '00180020': ['SE', 'EP'],
      '00181210': ['I31f', '3'],
      '00180060': ['120', '140'],
    });
    const parameters = {
      scanning_sequence: { one_of: ['SE'] },
      kernel: { none_of: ['I31'] },
      kvp: { max: 120 },
    };
    expect(judge(parameters, mr).map(([state, observed]) => [state, observed])).toEqual([
      ['met', 'scanning sequence as promised'],
      ['deviates', 'convolution kernel I31f 3'],
      ['deviates', 'tube voltage 140 kV'],
    ]);
    expect(judge({ scanning_sequence: { none_of: ['EP'] } }, mr)[0]?.[0]).toBe('deviates');
    expect(judge({ kvp: { max: 120 } }, image({ ...CT, '00180060': 120.01 }))[0]?.[1]).toContain('120.01 kV');
  });

  it('never repeats what a text of the header may hold', () => {
    const named = image({ ...CT, '00181210': 'MEIER ANNA', '00185100': 'ANNA' });
    const said = judge({ kernel: { one_of: ['B30'] }, patient_position: { one_of: ['HFS'] } }, named);
    expect(said.map(([state, observed]) => [state, observed])).toEqual([
      ['deviates', 'convolution kernel another'],
      ['deviates', 'patient position another'],
    ]);
  });

  it('survives values of any type in any place', () => {
    const parameters = Object.fromEntries(
      Object.entries(PARAMETERS).map(([name, { kind }]) => [
        name,
        kind === 'number' ? { min: 1 } : { one_of: ['X'] },
      ]),
    );
    for (const value of [null, {}, [], -1, 1e99, Number.NaN, 'x'.repeat(1000), { Alphabetic: 'A' }, true]) {
      const spoilt = Object.fromEntries(
        ['00180060', '00181210', '00200032', '00200037', '00280030', '52009229', '00181152'].map((tag) => [
          tag,
          { vr: 'UN', Value: [value, value, value] },
        ]),
      ) as DicomJson;
      expect(() => judgeProtocol([spoilt, spoilt], { parameters })).not.toThrow();
      expect(() => matchProtocol([spoilt], [base])).not.toThrow();
    }
  });
});

describe('files and the store', () => {
  let database: Database;
  let close: () => Promise<void>;
  let store: ResourceStore;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase());
    await loadDefinitions();
    store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  });
  afterAll(() => close());

  it('one that an earlier release took and that cannot be compared with is named at the start', async () => {
    // A store that no library listens to, as that release was.
    const before = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
    const plan = protocolToPlan({ ...shipped[0]!, id: 'old', status: 'active' });
    const excluded = { coding: [{ system: PART_SYSTEM, code: 'excluded' }] };
    const goal = plan.goal!.map((one) => ({ ...one, category: excluded }));
    await database.transaction((tx) =>
      before.write(tx, [{ kind: 'update', resource: { ...plan, goal } as PlanDefinition & { id: string } }]),
    );
    const refused = await new ProtocolLibrary(before, database, { PRELIM_PROTOCOLS: [] }).start([]);
    expect(refused.map(({ file }) => file)).toEqual(['PlanDefinition/old']);
    await database.transaction((tx) =>
      before.write(tx, [{ kind: 'delete', type: 'PlanDefinition', id: 'old' }]),
    );
  });

  it('a file of the site goes before the example it is a copy of, and not before one that the site has changed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'protocols-'));
    try {
      const copy = { ...shipped[0]!, status: 'active' };
      writeFileSync(join(folder, 'copy.yaml'), JSON.stringify(copy));
      const start = (folders: string[]) =>
        new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: folders }).start([OWN]);
      const status = async () =>
        (await store.read('PlanDefinition', copy.id))?.parse<PlanDefinition & { id: string }>().status;
      await start([]);
      expect(await status()).toBe('draft');
      await start([folder]);
      expect(await status()).toBe('active');
      const plan = protocolToPlan({ ...shipped[0]!, status: 'retired' });
      await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: plan }]));
      await start([folder]);
      expect(await status()).toBe('retired');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('a file of the site wins when its version is newer; a shipped draft is written once; what was deleted stays away', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'protocols-'));
    const file = (version: string, title: string) =>
      writeFileSync(
        join(folder, 'p.yaml'),
        JSON.stringify({ ...shipped[0], id: 'mine', version, title, status: 'active' }),
      );
    const start = () => new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: [folder] }).start([OWN]);
    const now = async (id: string) =>
      (await store.read('PlanDefinition', id))?.parse<PlanDefinition & { id: string }>();
    try {
      file('1.0.0', 'first');
      expect(await start()).toEqual([]);
      const plan = (await now('mine'))!;
      await database.transaction((tx) =>
        store.write(tx, [
          { kind: 'update', resource: { ...plan, title: 'edited' } },
          { kind: 'delete', type: 'PlanDefinition', id: 'dx-chest-pa-adult' },
        ]),
      );
      file('1.0.0', 'not taken');
      await start();
      expect((await now('mine'))?.title).toBe('edited');
      expect((await store.read('PlanDefinition', 'dx-chest-pa-adult'))?.deleted).toBe(true);
      file('1.1.0', 'second');
      await start();
      expect((await now('mine'))?.title).toBe('second');
      const library = new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: [folder] });
      expect((await library.active()).map(({ id }) => id)).toEqual(['mine']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
