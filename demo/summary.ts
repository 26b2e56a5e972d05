import type { Observation } from '@medplum/fhirtypes';
import type { AnalysisResult, DemoResult } from './run-study.ts';
import { bold, cyan, dim, formatMs, green, red, say, yellow } from './terminal.ts';
import type { Timeline } from './timeline.ts';

/** The end of the demo: what was found, what left the house, where to look, how long it took. */
export function summarise(results: readonly DemoResult[], url: string, token: string, pacs: string): void {
  for (const result of results) {
    say(`\n${bold('━━ ')}${bold(result.label)}`);
    for (const analysis of result.analyses) sayAnalysis(analysis, url);
    if (result.analyses.length === 0)
      say(`   ${yellow('no model looked')}: not stored, or no Subscription matches the study`);
    say(dim(`   ${result.stages.map((stage) => `${stage.stage} ${formatMs(stage.ms)}`).join(' · ')}`));
  }
  say(`\n${bold('Look around')}`);
  say(`   worklist    ${cyan(`${url}/worklist/#token=${token}`)}`);
  say(
    `   FHIR        ${cyan(`${url}/fhir/DiagnosticReport?status=preliminary`)}  ${dim('with: Authorization: Bearer <token>')}`,
  );
  say(
    `   PACS        ${cyan(`${pacs}/series`)}  ${dim('the studies, with an SR, a SEG and a picture of each result')}`,
  );
  say(dim('   a token     npm run -s token   (with the same PRELIM_DATA)'));
  say();
}

function sayAnalysis(analysis: AnalysisResult, url: string): void {
  const model = analysis.task.input?.find((input) => input.type?.text === 'model')?.valueString ?? '';
  if (!analysis.report) {
    say(`   ${red('refused')} for ${model}`);
    for (const line of (analysis.task.statusReason?.text ?? analysis.task.status ?? '').split('\n'))
      say(`     ${red(line)}`);
    return;
  }
  say(`   ${green(analysis.report.status ?? '')} by ${model}`);
  for (const observation of analysis.observations) say(`     ${observationLine(observation)}`);
  say(`   ${dim(analysis.report.conclusion ?? '')}`);
  say(`   ${dim('FHIR')}  ${cyan(`${url}/fhir/DiagnosticReport/${analysis.report.id}`)}`);
  if (analysis.oru) {
    say(`   ${dim('ORU as sent')}`);
    for (const line of segments(analysis.oru)) say(`     ${line}`);
    say(`   ${dim('ACK')}`);
    for (const line of segments(analysis.ack ?? 'none')) say(`     ${line}`);
  }
}

function observationLine(observation: Observation): string {
  const codes = (observation.code?.coding ?? [])
    .filter((coding) => !coding.system?.includes('prelim'))
    .map((coding) => `${SYSTEMS[coding.system ?? ''] ?? coding.system} ${coding.code}`);
  const without = (observation.code?.extension ?? []).map(
    (extension) => `${SYSTEMS[extension.valueUri ?? ''] ?? ''} none`,
  );
  return `${(observation.code?.text ?? '').padEnd(36)} ${bold(quantityText(observation).padEnd(16))} ${dim([...codes, ...without].join(', '))}`;
}

const SYSTEMS: Record<string, string> = {
  'http://snomed.info/sct': 'SNOMED CT',
  'http://radlex.org': 'RadLex',
  'http://loinc.org': 'LOINC',
  'http://dicom.nema.org/resources/ontology/DCM': 'DCM',
};

function quantityText(observation: Observation): string {
  if (observation.valueQuantity) {
    const unit =
      observation.valueQuantity.unit === "[hnsf'U]" ? 'HU' : (observation.valueQuantity.unit ?? '');
    return `${observation.valueQuantity.value} ${unit}`;
  }
  const score = observation.component?.[0]?.valueQuantity?.value;
  const text = observation.valueCodeableConcept?.text ?? '';
  return `${text === 'Present' ? yellow(text) : text}${score === undefined ? '' : ` (${score.toFixed(2)})`}`;
}

const segments = (message: string) => message.split('\r').filter((line) => line !== '');

/** What `--json` writes: the timeline, and the last report with all that left with it. */
export function toJson(timeline: Timeline, results: readonly DemoResult[]): object {
  const analyses = results.flatMap((result) => result.analyses);
  const first = analyses.find((analysis) => analysis.report) ?? null;
  return {
    timeline: timeline.entries,
    report: first?.report ?? null,
    observations: first?.observations ?? [],
    oru: first?.oru ?? null,
    ack: first?.ack ?? null,
    studies: results.map((result) => ({
      label: result.label,
      studyInstanceUid: result.studyInstanceUid,
      analyses: result.analyses.map(({ task, report, oru, ack }) => ({
        status: task.status,
        reason: task.statusReason?.text ?? null,
        report: report?.id ?? null,
        oru,
        ack,
      })),
    })),
  };
}
