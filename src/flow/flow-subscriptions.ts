import type { Subscription } from '@medplum/fhirtypes';
import type { Manifest } from '../governance/manifest.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';

/**
 * The FHIR Subscription that starts a model: when an ImagingStudy of its modality becomes available, our own operation is
 * called. Hospitals read and edit it like any other resource (narrower criteria, `off`): it is written once and then theirs.
 */
export function subscriptionFor(manifest: Manifest): Subscription {
  const modality = manifest.fits.modality.join(',');
  return {
    resourceType: 'Subscription',
    id: subscriptionId(manifest.id),
    meta: { tag: [{ system: CODE_SYSTEMS.subscriptionTag, code: 'model' }] },
    status: 'active',
    reason: `Start ${manifest.title} when a study that may fit becomes available`,
    criteria: `ImagingStudy?status=available${modality ? `&modality=${modality}` : ''}`,
    channel: { type: 'rest-hook', endpoint: `ImagingStudy/$analyze?model=${manifest.id}` },
  };
}

/** One per model, not per version: a new version takes over the criteria that the hospital has set. */
export const subscriptionId = (modelId: string) => `model-${modelId}`.slice(0, 64);
