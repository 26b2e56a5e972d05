import type {
  Coding,
  Device,
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../hl7/codec.ts';
import { ED_CHARACTERS_MAX } from './default-profile.ts';
import type { OruInput } from './oru-input.ts';
import { reportToOru } from './report-to-oru.ts';
import { DEFAULT_RIS_PROFILE, type RisProfile, readRisProfile } from './ris-profile.ts';

const SYSTEM = 'https://prelim.example/fhir';
const type = (code: string) => ({
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code }],
});
const ucum = (value: number, code: string) => ({ value, system: 'http://unitsofmeasure.org', code });
const ours = (code: string) => ({ coding: [{ system: `${SYSTEM}/CodeSystem/finding`, code }] });

const patient: Patient = {
  resourceType: 'Patient',
  identifier: [
    {
      type: type('MR'),
      system: `${SYSTEM}/NamingSystem/hl7v2/patient/HOSP`,
      value: 'MRN12345',
      assigner: { display: 'HOSP' },
    },
    { type: type('PI'), system: 'urn:oid:1.2.3', value: '77', assigner: { display: 'CLINIC' } },
    { type: type('SS'), system: 'urn:x', value: 'secret' },
    { use: 'old', type: type('MR'), system: 'urn:x', value: 'gone' },
  ],
  name: [{ use: 'official', family: "O'NEIL & DOE", given: ['JANE', 'Q'] }],
  birthDate: '1965-02-14',
  gender: 'female',
};
const encounter: Encounter = {
  resourceType: 'Encounter',
  status: 'in-progress',
  class: { code: 'EMER' },
  identifier: [
    { type: type('VN'), system: `${SYSTEM}/NamingSystem/hl7v2/visit/HOSP`, value: 'V0009988' },
    { type: type('AN'), system: `${SYSTEM}/NamingSystem/hl7v2-from/account/HOSP`, value: 'AC1' },
  ],
  location: [{ location: { display: 'ED 12 A HOSP', identifier: { value: 'ED^12^A^HOSP' } } }],
};
const serviceRequest: ServiceRequest = {
  resourceType: 'ServiceRequest',
  status: 'active',
  intent: 'order',
  subject: { reference: 'Patient/1' },
  identifier: [
    { type: type('PLAC'), system: `${SYSTEM}/NamingSystem/hl7v2/placer/OE`, value: 'ORD7788' },
    { type: type('FILL'), system: `${SYSTEM}/NamingSystem/hl7v2/filler/RIS`, value: 'F1' },
    { type: type('ACSN'), system: `${SYSTEM}/NamingSystem/accession`, value: 'ACC0012345' },
    { system: `${SYSTEM}/NamingSystem/requested-procedure`, value: 'RP0001' },
    { system: `${SYSTEM}/NamingSystem/scheduled-procedure-step`, value: 'SPS0001' },
  ],
  code: { coding: [{ system: 'http://loinc.org', code: '36643-5', display: 'XR Chest 2 Views' }] },
  reasonCode: [{ coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'R05', display: 'Cough' }] }],
  requester: {
    extension: [
      {
        url: `${SYSTEM}/StructureDefinition/person-name`,
        valueHumanName: { family: 'HOUSE', given: ['GREGORY'] },
      },
    ],
    identifier: { value: '1234' },
    display: 'GREGORY HOUSE',
  },
};
const imagingStudy: ImagingStudy = {
  resourceType: 'ImagingStudy',
  status: 'available',
  subject: { reference: 'Patient/1' },
  started: '2026-01-15T09:30:00Z',
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.840.99999.1.2.3' }],
};
const device: Device = {
  resourceType: 'Device',
  identifier: [{ system: `${SYSTEM}/NamingSystem/model`, value: 'cxr-net@2.1.0' }],
  deviceName: [{ name: 'CXR-NET', type: 'user-friendly-name' }],
  version: [{ value: '2.1.0' }],
};
const pneumothorax: Observation = {
  resourceType: 'Observation',
  status: 'preliminary',
  code: {
    coding: [
      ...ours('pneumothorax').coding,
      { system: 'http://radlex.org', code: 'RID5352', display: 'pneumothorax' },
      { system: 'http://snomed.info/sct', code: '36118008', display: 'Pneumothorax' },
    ],
    text: 'Pneumothorax',
  },
  valueCodeableConcept: {
    coding: [{ system: 'http://snomed.info/sct', code: '52101004', display: 'Present' }],
  },
  interpretation: [{ coding: [{ code: 'AA' }] }],
  effectiveDateTime: '2026-01-15T09:30:00Z',
  component: [
    { code: ours('score'), valueQuantity: ucum(0.87, '1') },
    { code: ours('threshold'), valueQuantity: ucum(0.5, '1') },
  ],
};
const diameter: Observation = {
  resourceType: 'Observation',
  status: 'preliminary',
  code: { ...ours('diameter'), text: 'Largest diameter' },
  valueQuantity: { ...ucum(0.0000012, 'mm') },
  interpretation: [{ coding: [{ code: 'H' }] }],
  referenceRange: [{ high: { value: 5 } }],
};
const report: DiagnosticReport = {
  resourceType: 'DiagnosticReport',
  id: 'r1',
  status: 'preliminary',
  code: { coding: [{ system: 'http://loinc.org', code: '24558-9', display: 'AI chest x-ray' }] },
  identifier: [{ system: `${SYSTEM}/NamingSystem/filler`, value: 'AI0001' }],
  issued: '2026-01-15T10:15:00Z',
  conclusion: 'Preliminary AI result. Not reviewed by a radiologist. Present: Pneumothorax.',
};

const make = (change: Partial<OruInput> = {}, profile: Partial<RisProfile> = {}) =>
  reportToOru({
    report,
    observations: [pneumothorax, diameter],
    patient,
    encounter,
    serviceRequest,
    imagingStudy,
    device,
    profile: { ...DEFAULT_RIS_PROFILE, ...profile },
    controlId: 'P1768000000001',
    now: new Date('2026-01-15T10:15:22Z'),
    ...change,
  });
const text = (...change: Parameters<typeof make>) => make(...change).bytes.toString('latin1');
const lines = (...change: Parameters<typeof make>) => text(...change).split('\r');
const withStatus = (status: DiagnosticReport['status']) => lines({ report: { ...report, status } });

describe('A report as ORU^R01', () => {
  it('is, preliminary, word for word this message', () => {
    expect(lines()).toEqual([
      'MSH|^~\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|20260115101522+0000||ORU^R01^ORU_R01|P1768000000001|P|2.5.1||||||UNICODE UTF-8',
      "PID|1||MRN12345^^^HOSP^MR~77^^^CLINIC&1.2.3&ISO^PI||O'NEIL \\T\\ DOE^JANE^Q^^^^L||19650214|F||||||||||AC1^^^^AN",
      'PV1|1|E|ED^12^A^HOSP||||||||||||||||V0009988^^^HOSP^VN',
      'ORC|RE|ORD7788^OE|AI0001^PRELIM||IP',
      'OBR|1|ORD7788^OE|AI0001^PRELIM|36643-5^XR Chest 2 Views^LN^24558-9^AI chest x-ray^LN|||20260115093000+0000|||||||||1234^HOUSE^GREGORY||ACC0012345|RP0001|SPS0001||20260115101522+0000||RAD|P||||||R05^Cough^I10',
      'OBX|1|ST|113014^DICOM Study^DCM||1.2.840.99999.1.2.3||||||O',
      'OBX|2|TX|19005-8^Radiology Imaging study [Impression]^LN|1|PRELIMINARY AI RESULT. NOT REVIEWED BY A RADIOLOGIST.||||||P|||20260115101500+0000',
      'OBX|3|TX|19005-8^Radiology Imaging study [Impression]^LN|1|Present: Pneumothorax.||||||P|||20260115101500+0000',
      'OBX|4|CWE|36118008^Pneumothorax^SCT^RID5352^pneumothorax^RADLEX|2|52101004^Present^SCT|||A|||P|||20260115093000+0000|||cxr-net@2.1.0^CXR-NET 2.1.0^99PRELIM|cxr-net@2.1.0^PRELIM',
      'OBX|5|NM|score^Score of the model^99PRELIM|2|0.87|1^^UCUM|<0.5||||P|||20260115093000+0000|||cxr-net@2.1.0^CXR-NET 2.1.0^99PRELIM|cxr-net@2.1.0^PRELIM',
      'OBX|6|NM|diameter^Largest diameter^99PRELIM|3|0.0000012|mm^^UCUM|<5|H|||P||||||cxr-net@2.1.0^CXR-NET 2.1.0^99PRELIM|cxr-net@2.1.0^PRELIM',
      'NTE|1|L|Result of software: CXR-NET 2.1.0.',
      '',
    ]);
  });

  it('reads back through the codec', () => {
    const message = readMessage(make().bytes);
    expect(message.get('PID', 1, 5)).toBe("O'NEIL & DOE");
    expect(message.get('OBX', 4, 5, 2)).toBe('Present');
  });

  it.each([
    ['preliminary', 'P', 'P', 'IP'],
    ['final', 'F', 'F', 'CM'],
    ['corrected', 'C', 'C', 'CM'],
    ['amended', 'C', 'C', 'CM'],
    ['cancelled', 'X', 'X', 'CA'],
    ['entered-in-error', 'X', 'W', 'CA'],
  ] as const)(
    'says %s as OBR-25 %s, OBX-11 %s and ORC-5 %s, in letters and in words',
    (status, result, observation, order) => {
      const message = readMessage(make({ report: { ...report, status } }).bytes);
      expect([message.get('OBR', 1, 25), message.get('OBX', 2, 11), message.get('ORC', 1, 5)]).toEqual([
        result,
        observation,
        order,
      ]);
      expect(message.get('OBX', 1, 11)).toBe('O');
      expect(message.get('OBX', 2, 5)).toMatch(/AI RESULT/);
      const saysNotReviewed = withStatus(status).join().toUpperCase().includes('NOT REVIEWED');
      expect(saysNotReviewed).toBe(status === 'preliminary');
    },
  );

  it('withdraws with one line, and takes back an error line by line under the same ids', () => {
    expect(withStatus('cancelled').filter((line) => line.startsWith('OBX'))).toHaveLength(2);
    const ids = (all: string[]) =>
      all.filter((line) => line.startsWith('OBX')).map((line) => line.split('|').slice(3, 5));
    expect(ids(withStatus('entered-in-error'))).toEqual(ids(withStatus('preliminary')));
  });

  it('names a reviewer only when a person has reviewed', () => {
    const reviewed = { ...report, resultsInterpreter: [{ display: 'HOUSE', identifier: { value: '9' } }] };
    expect(
      readMessage(make({ report: { ...reviewed, status: 'final' } }).bytes).get('OBR', 1, 32, 1, 2),
    ).toBe('HOUSE');
    expect(readMessage(make({ report: reviewed }).bytes).get('OBR', 1, 32)).toBe('');
  });

  it('does without order and visit, with accession and study from the images', () => {
    const study = {
      ...imagingStudy,
      identifier: [...imagingStudy.identifier!, { type: type('ACSN'), system: 'urn:issuer', value: 'ACC9' }],
    };
    const message = readMessage(
      reportToOru({
        report,
        observations: [],
        patient,
        imagingStudy: study,
        device,
        profile: DEFAULT_RIS_PROFILE,
        controlId: '1',
        now: new Date(0),
      }).bytes,
    );
    expect([message.get('PV1', 1, 2), message.get('OBR', 1, 18), message.get('OBR', 1, 4, 2)]).toEqual([
      'U',
      'ACC9',
      'AI chest x-ray',
    ]);
  });

  it('refuses a record that makes no message', () => {
    const refused = expect.objectContaining({ code: 'ris.not-sendable' });
    expect(() => make({ report: { ...report, status: 'registered' } })).toThrow(refused);
    expect(() => make({ patient: { resourceType: 'Patient' } })).toThrow(refused);
  });
});

describe('A code of a finding', () => {
  const graded = (code: string, system: string, valueCode: string, display = 'X') => ({
    system,
    code,
    display,
    extension: [{ url: `${SYSTEM}/StructureDefinition/match-grade`, valueCode }],
  });
  const sct = 'http://snomed.info/sct';
  const radlex = 'http://radlex.org';
  const own = { ...ours('nodule').coding[0]!, display: 'Nodule' };
  const exactRadlex = { system: radlex, code: 'RID1', display: 'R' };
  const exactSct = { system: sct, code: '1', display: 'S' };
  /** OBX-3 of the finding. */
  const obx3 = (coding: Coding[], label = 'Nodule') =>
    lines({ observations: [{ ...pneumothorax, code: { coding, text: label } }] })
      .find((line) => line.startsWith('OBX|4|'))!
      .split('|')[3];

  it.each<[string, Coding[], string]>([
    ['two exact codes, SNOMED CT first', [own, exactRadlex, exactSct], '1^S^SCT^RID1^R^RADLEX'],
    ['one exact code, with ours as alternate', [own, exactSct], '1^S^SCT^nodule^Nodule^99PRELIM'],
    [
      'the exact code, not the narrower or broader one before it',
      [own, graded('427359005', sct, 'narrower'), exactRadlex],
      'RID1^R^RADLEX^nodule^Nodule^99PRELIM',
    ],
    [
      'ours alone, when no standard code is exact',
      [own, graded('427359005', sct, 'narrower'), graded('RID9', radlex, 'broader')],
      'nodule^Nodule^99PRELIM',
    ],
    [
      'ours alone, when the grade is a word not known here',
      [own, graded('427359005', sct, 'about')],
      'nodule^Nodule^99PRELIM',
    ],
    [
      'the text alone, when nothing is exact and none is ours',
      [graded('427359005', sct, 'broader')],
      '^Nodule',
    ],
  ])('leaves as %s', (_what, coding, expected) => {
    expect(obx3(coding)).toBe(expected);
  });

  it('is also held back as a reason of the order and as the code of the exam', () => {
    const code = { coding: [graded('77477000', sct, 'broader')], text: 'CT chest' };
    const message = text({ serviceRequest: { ...serviceRequest, code, reasonCode: [code] } });
    expect(message).not.toContain('77477000');
    expect(readMessage(Buffer.from(message)).get('OBR', 1, 31, 2)).toBe('CT chest');
  });
});

describe('The profile of a receiver', () => {
  it('has its own filler number unless told to echo one', () => {
    expect(text({}, { fillerNumber: 'order' })).toContain('OBR|1|ORD7788^OE|F1^RIS|');
    expect(text({}, { fillerNumber: 'accession' })).toContain('OBR|1|ORD7788^OE|ACC0012345|');
  });

  it('moves the accession number, writes the study as HD, and times without zone in the zone of the site', () => {
    const message = text(
      {},
      { accession: 'OBR-20', studyUid: 'HD', zoneOffset: false, timeZone: 'Europe/Berlin' },
    );
    expect(message).toContain('||RP0001|ACC0012345||20260115111522|');
    expect(message).toContain('OBX|1|HD|113014^DICOM Study^DCM||^1.2.840.99999.1.2.3^ISO||');
  });

  it('writes text as repetitions, as formatted text or as notes', () => {
    const banner = 'PRELIMINARY AI RESULT. NOT REVIEWED BY A RADIOLOGIST.';
    expect(text({}, { narrative: 'TX-repetitions' })).toContain(`|1|${banner}~Present: Pneumothorax.|`);
    expect(text({}, { narrative: 'FT' })).toContain(
      `|FT|19005-8^Radiology Imaging study [Impression]^LN|1|${banner}\\.br\\Present`,
    );
    expect(lines({}, { narrative: 'NTE' })).toContain(`NTE|1|L|${banner}`);
  });

  it('sends text only, the suffix IMP, another RadLex name, R for preliminary, and critical flags', () => {
    const plain = lines({}, { codedResults: false }).filter((line) => line.startsWith('OBX'));
    expect(plain.map((line) => line.split('|')[5])).toContain('Pneumothorax: Present (score 0.87)');
    expect(plain.every((line) => !line.includes('|CWE|'))).toBe(true);
    expect(text({}, { sectionCodes: 'suffix' })).toContain('|TX|36643-5&IMP^XR Chest 2 Views|');
    expect(text({}, { radlexName: '99RADLEX' })).toContain('^RID5352^pneumothorax^99RADLEX|');
    expect(readMessage(make({}, { preliminaryStatus: 'R' }).bytes).get('OBR', 1, 25)).toBe('R');
    expect(text({}, { criticalFlags: true })).toContain('^SCT|||AA|||P|');
  });

  it('embeds a PDF in the spelling asked for, and leaves out one that is too large', () => {
    const withPdf = (data: string) => ({
      report: { ...report, presentedForm: [{ contentType: 'application/pdf', data }] },
    });
    expect(text(withPdf('JVBERi0='))).toContain(
      '|ED|11528-7^Radiology Report^LN||PRELIM^Application^PDF^Base64^JVBERi0=|',
    );
    expect(text(withPdf('JVBERi0='), { pdf: 'application^pdf' })).toContain('^application^pdf^Base64^');
    expect(text(withPdf('JVBERi0='), { pdf: 'none' })).not.toContain('|ED|');
    const large = text(withPdf('A'.repeat(ED_CHARACTERS_MAX + 1)));
    expect(large).not.toContain('|ED|');
    expect(large).toContain('[A document of this report is not in this message: see the report itself.]');
  });

  it('writes the character set it names and counts letters that it lacks', () => {
    const named = { patient: { ...patient, name: [{ family: 'Łoś-Müller' }] } };
    const latin = make(named, { charset: '8859/1' });
    expect(latin.unmapped).toBe(2);
    expect(latin.bytes.toString('latin1')).toContain('8859/1\r');
    expect(readMessage(latin.bytes).get('PID', 1, 5)).toBe('Łoś-Müller');
    expect(text(named, { charset: 'ASCII', replacement: '?' })).toContain('?o?-M?ller');
  });

  it('is refused with every fault named, and filled up with defaults', () => {
    expect(readRisProfile({ zoneOffset: false })).toEqual({ ...DEFAULT_RIS_PROFILE, zoneOffset: false });
    const faults = {
      charset: 'EBCDIC',
      timeZone: 'Mars',
      replacement: '??',
      connectionsMax: 0,
      colour: 'red',
      sendingApplication: '',
    };
    expect(() => readRisProfile({ timeZone: 'Mars' })).toThrow(/timeZone must be a time zone/);
    try {
      readRisProfile(faults);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ris.profile' });
      const places = (error as { issues: { at: string }[] }).issues.map((issue) => issue.at);
      expect(places.sort()).toEqual(Object.keys(faults).sort());
    }
  });
});
