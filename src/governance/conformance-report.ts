import type {
  Measure,
  MeasureReport,
  MeasureReportGroup,
  MeasureReportGroupStratifier,
} from '@medplum/fhirtypes';
import { CODE_SYSTEMS, PRELIM } from '../kernel/code-systems.ts';
import type { CountRow } from './conformance.store.ts';
import { PARAMETERS, type ParameterName } from './protocols/parameters.ts';
import { PARAMETER_SYSTEM } from './protocols/plan-codes.ts';

/** Ids of the two Measures that `$evaluate-measure` answers (R4 measure-operation-evaluate-measure.html). */
export const GATE_MEASURE = 'gate-verdicts';
export const PROTOCOL_MEASURE = 'protocol-conformance';

const POPULATION = 'http://terminology.hl7.org/CodeSystem/measure-population';
const SCORING = 'http://terminology.hl7.org/CodeSystem/measure-scoring';

/** What is counted, in words, so that a client can read it. */
export function conformanceMeasures(): (Measure & { id: string })[] {
  const measure = (id: string, title: string, description: string): Measure & { id: string } => ({
    resourceType: 'Measure',
    id,
    url: `${PRELIM}/Measure/${id}`,
    version: '1.0.0',
    name: id.replace(/(^|-)([a-z])/g, (_all, _dash, letter: string) => letter.toUpperCase()),
    title,
    status: 'active',
    publisher: 'Prelim',
    description,
    scoring: { coding: [{ system: SCORING, code: 'proportion' }] },
  });
  return [
    measure(
      GATE_MEASURE,
      'Verdicts of the gate by scanner',
      'Denominator: analyses that ended, by the scanner that made the images. Numerator: those that the gate refused. Strata: outcome, rule that refused, rule that warned.',
    ),
    measure(
      PROTOCOL_MEASURE,
      'Conformance to imaging protocols by scanner',
      'Denominator: studies for which an active imaging protocol is meant, by protocol and scanner. Numerator: those in which nothing deviates from it. Strata: month (studies, of them deviating, and not saying all), parameter that deviates.',
    ),
  ];
}

export interface Period {
  readonly start: string;
  readonly end: string;
}

/** How a scanner is called; null for those that have no Device any more. */
export type ScannerName = (scanner: string) => string | null;

/** Counts → MeasureReport of the gate: one group per scanner. */
export function gateReport(
  counts: { readonly outcomes: readonly CountRow[]; readonly rules: readonly CountRow[] },
  period: Period,
  nameOf: ScannerName,
  now: Date,
): MeasureReport {
  const byScanner = Map.groupBy(counts.outcomes, ({ scanner }) => scanner);
  const groups = [...byScanner].map(([scanner, outcomes]): MeasureReportGroup => {
    const ofOutcome = (outcome: string) => outcomes.find(({ by }) => by === outcome)?.count ?? 0;
    const rules = counts.rules.filter((row) => row.scanner === scanner);
    const ruleStrata = (outcome: string) =>
      rules
        .filter(({ group }) => group === outcome)
        .map(({ by, count }) => stratum({ system: CODE_SYSTEMS.refusal, code: by }, { denominator: count }));
    return {
      code: scannerConcept(scanner, nameOf),
      ...scored(total(outcomes), ofOutcome('refused')),
      ...stratifiers([
        ['outcome', outcomes.map(({ by, count }) => stratum({ code: by }, { denominator: count }))],
        ['refused by rule', ruleStrata('refused')],
        ['warned by rule', ruleStrata('warned')],
      ]),
    };
  });
  return reportOf(GATE_MEASURE, groups, period, now);
}

/** Counts → MeasureReport of the protocols: one group per protocol, version and scanner, in time by month. */
export function protocolReport(
  counts: { readonly studies: readonly CountRow[]; readonly deviations: readonly CountRow[] },
  period: Period,
  nameOf: ScannerName,
  now: Date,
): MeasureReport {
  const keyOf = ({ group, scanner }: CountRow) => `${group}|${scanner}`;
  const groups = [...Map.groupBy(counts.studies, keyOf).values()].map((rows): MeasureReportGroup => {
    const [first] = rows;
    const { group = '', scanner = '' } = first ?? {};
    const [protocol = '', version = ''] = group.split('|');
    const inState = (state: string, from: readonly CountRow[]) =>
      total(from.filter(({ by }) => by.endsWith(`|${state}`)));
    const months = [...Map.groupBy(rows, ({ by }) => by.slice(0, 7))];
    const deviations = counts.deviations.filter((row) => keyOf(row) === `${group}|${scanner}`);
    return {
      code: {
        ...scannerConcept(scanner, nameOf),
        text: `${protocol} ${version}: ${nameOf(scanner) ?? UNNAMED}`,
        coding: [{ system: `${PRELIM}/PlanDefinition`, code: protocol, version }, scannerCoding(scanner)],
      },
      ...scored(total(rows), total(rows) - inState('deviates', rows)),
      ...stratifiers([
        [
          'month',
          months.map(([month, of]) =>
            stratum(
              { code: month },
              { denominator: total(of), numerator: total(of) - inState('deviates', of) },
            ),
          ),
        ],
        ['not all stated', notStated(inState('not-stated', rows))],
        [
          'deviating parameter',
          deviations.map(({ by, count }) =>
            stratum(
              { system: PARAMETER_SYSTEM, code: by, display: PARAMETERS[by as ParameterName]?.label ?? by },
              { denominator: count },
            ),
          ),
        ],
      ]),
    };
  });
  return reportOf(PROTOCOL_MEASURE, groups, period, now);
}

const notStated = (count: number) =>
  count > 0 ? [stratum({ code: 'not-stated' }, { denominator: count })] : [];

const total = (rows: readonly CountRow[]) => rows.reduce((sum, { count }) => sum + count, 0);

function reportOf(id: string, group: MeasureReportGroup[], period: Period, now: Date): MeasureReport {
  return {
    resourceType: 'MeasureReport',
    status: 'complete',
    type: 'summary',
    measure: `${PRELIM}/Measure/${id}`,
    date: now.toISOString(),
    period: { ...period },
    ...(group.length > 0 ? { group } : {}),
  };
}

const UNNAMED = 'scanners that do not name themselves';
const scannerCoding = (scanner: string) => ({ system: `${PRELIM}/NamingSystem/scanner`, code: scanner });
const scannerConcept = (scanner: string, nameOf: ScannerName) => ({
  coding: [scannerCoding(scanner)],
  text: nameOf(scanner) ?? UNNAMED,
});

const population = (code: string, count: number) => ({
  code: { coding: [{ system: POPULATION, code }] },
  count,
});

const scored = (denominator: number, numerator: number) => ({
  population: [population('denominator', denominator), population('numerator', numerator)],
  ...(denominator > 0 ? { measureScore: { value: Number((numerator / denominator).toFixed(4)) } } : {}),
});

type Stratum = NonNullable<MeasureReportGroupStratifier['stratum']>[number];

function stratum(
  coding: { system?: string; code: string; display?: string },
  counts: Readonly<Record<string, number>>,
): Stratum {
  return {
    value: { coding: coding.system ? [coding] : [], text: coding.display ?? coding.code },
    population: Object.entries(counts).map(([code, count]) => population(code, count)),
  } as Stratum;
}

/** Without what is empty: FHIR has no empty lists. */
function stratifiers(
  named: readonly (readonly [string, Stratum[]])[],
): Pick<MeasureReportGroup, 'stratifier'> {
  const stratifier = named
    .filter(([, strata]) => strata.length > 0)
    .map(([text, strata]) => ({ code: [{ text }], stratum: strata.map(withoutEmptyCoding) }));
  return stratifier.length > 0 ? { stratifier } : {};
}

const withoutEmptyCoding = (one: Stratum): Stratum =>
  one.value?.coding?.length === 0 ? { ...one, value: { text: one.value.text ?? '' } } : one;
