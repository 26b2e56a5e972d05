import type { ResourceStore } from '../../fhir/resource-store.ts';
import { type AnalysisTask, whyEnded } from '../../governance/analysis-task.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GatePassed, GateVerdict } from '../../kernel/handoffs.ts';

/** Why the analysis of this Task is not run any more, or null. */
export async function whyNotRun(
  store: ResourceStore,
  handoff: Pick<GatePassed, 'taskId' | 'studyVersion'>,
): Promise<string | null> {
  const kept = await store.read('Task', handoff.taskId);
  return whyEnded(kept === null || kept.deleted ? null : kept.parse<AnalysisTask>(), handoff);
}

/**
 * What the rule `undecodable` says of a failure met while pixels were read, or null when it is none of the images' own: a worker that is gone
 * or a disk that fails says nothing about the study and is tried again. The text is the failure's own: it names what was met, a transfer
 * syntax by its UID, and never a value of the data set.
 */
export function undecodableVerdict(error: unknown): GateVerdict | null {
  if (error instanceof Failure && LACKS_ATTRIBUTE.has(error.code)) {
    return {
      rule: 'attributes',
      observed: error.message.replace(/\.$/, ''),
      required: 'images that state what the model needs',
    };
  }
  if (error instanceof Failure && error.code === 'inference.may-not-leave') {
    return {
      rule: 'burned-in',
      observed: error.message.replace(/\.$/, ''),
      required: 'no text in the pixels: they would leave for another server',
    };
  }
  if (!(error instanceof Failure) || error.retry || !error.code.startsWith('dicom.')) return null;
  const { message, code } = error;
  return {
    rule: 'undecodable',
    observed: `${message.replace(/\.$/, '')} (${code})`,
    required: 'images that this server can decode',
  };
}

/** The pixels are there, but the file does not say something that the manifest's operations need. */
const LACKS_ATTRIBUTE: ReadonlySet<string> = new Set([
  'inference.window-missing',
  'inference.spacing-missing',
]);
