import type { Device, Parameters } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type AccessContext, demandAccess } from '../fhir/access-context.ts';
import {
  type OperationAnswer,
  OperationRegistry,
  type OperationRequest,
} from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { ConformanceStore, type CountRow } from './conformance.store.ts';
import {
  GATE_MEASURE,
  gateReport,
  type Period,
  PROTOCOL_MEASURE,
  protocolReport,
  type ScannerName,
} from './conformance-report.ts';
import { scannerText } from './conformance-scanner.ts';

/**
 * `GET Measure/gate-verdicts/$evaluate-measure` and `Measure/protocol-conformance/$evaluate-measure` with `periodStart` and `periodEnd`, both days
 * included (R4 measure-operation-evaluate-measure.html): a MeasureReport of type summary, made now and not stored.
 */
@Injectable()
export class ConformanceOperation implements OnModuleInit {
  constructor(
    private readonly operations: OperationRegistry,
    private readonly rows: ConformanceStore,
    private readonly store: ResourceStore,
  ) {}

  onModuleInit(): void {
    this.operations.register({
      name: '$evaluate-measure',
      level: 'instance',
      type: 'Measure',
      parameters: [...KNOWN, ...GENERAL],
      get: true,
      definition: 'http://hl7.org/fhir/OperationDefinition/Measure-evaluate-measure',
      run: (request) => this.evaluate(request),
    });
  }

  private async evaluate(request: OperationRequest): Promise<OperationAnswer> {
    demandAccess(request.access, 'Measure', 'read');
    demandAccess(request.access, 'MeasureReport', 'read');
    const { id } = request;
    if (id !== GATE_MEASURE && id !== PROTOCOL_MEASURE)
      throw new Failure(
        'fhir.not-found',
        `Only Measure/${GATE_MEASURE} and Measure/${PROTOCOL_MEASURE} are evaluated here.`,
      );
    const period = periodOf(request);
    const [from, until] = [new Date(period.start), dayAfter(period.end)];
    const counts = await this.counts(id, from, until);
    const nameOf = await this.names(counts.flat(), request.access);
    const [whole, parts] = counts;
    const now = new Date();
    const resource =
      id === GATE_MEASURE
        ? gateReport({ outcomes: whole, rules: parts }, period, nameOf, now)
        : protocolReport({ studies: whole, deviations: parts }, period, nameOf, now);
    return { status: 200, resource };
  }

  private counts(id: string, from: Date, until: Date): Promise<[CountRow[], CountRow[]]> {
    return id === GATE_MEASURE
      ? Promise.all([this.rows.outcomes(from, until), this.rows.rules(from, until)])
      : Promise.all([this.rows.studies(from, until), this.rows.deviations(from, until)]);
  }

  /** Only of Devices that the caller may read. */
  private async names(rows: readonly CountRow[], access: AccessContext): Promise<ScannerName> {
    const ids = [...new Set(rows.map(({ scanner }) => scanner))];
    const refs = access.allows('Device', 'read') ? ids.map((id) => ({ type: 'Device', id })) : [];
    const found = refs.length === 0 ? [] : await this.store.readMany(refs, undefined, access);
    const names = new Map(found.map((stored) => [stored.id, scannerText(stored.parse<Device>())]));
    return (scanner) => names.get(scanner) ?? (scanner.startsWith('scanner-') ? scanner : null);
  }
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;
/** `Date.parse` takes the 31st of February for the 3rd of March. */
const isInCalendar = (day: string) =>
  !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
const DAY_MS = 24 * 3_600_000;
const dayAfter = (day: string) => new Date(Date.parse(day) + DAY_MS);

const KNOWN = ['periodStart', 'periodEnd', 'reportType'];
/** Of every request, not of an operation. */
const GENERAL = ['_format', '_pretty', '_summary', '_elements'];

/** Whole days, in UTC. A parameter that is not answered is refused: ignored, it would change the answer without a word. */
function periodOf({ query, body }: OperationRequest): Period {
  const given = new Map<string, unknown>(query);
  if (body !== null && body.resourceType !== 'Parameters')
    throw new Failure('fhir.invalid', 'The body of an operation must be a Parameters resource.');
  for (const one of (body as Parameters | null)?.parameter ?? [])
    given.set(
      one.name ?? '',
      one.valueDate ?? one.valueDateTime?.slice(0, 10) ?? one.valueCode ?? one.valueString,
    );
  if ([...given.keys()].some((name) => !KNOWN.includes(name) && !GENERAL.includes(name)))
    throw new Failure('fhir.unsupported', `A parameter is not answered here. Known: ${KNOWN.join(', ')}.`);
  if (
    given.has('reportType') &&
    given.get('reportType') !== 'summary' &&
    given.get('reportType') !== 'population'
  )
    throw new Failure(
      'fhir.unsupported',
      'Only reportType summary is made: patients are not kept with the counts.',
    );
  const [start, end] = [given.get('periodStart'), given.get('periodEnd')];
  const isDay = (value: unknown): value is string =>
    typeof value === 'string' && DATE.test(value) && isInCalendar(value);
  if (!isDay(start) || !isDay(end) || start > end)
    throw new Failure(
      'fhir.invalid',
      'periodStart and periodEnd are needed, as days (YYYY-MM-DD), the start not after the end.',
    );
  return { start, end };
}
