import { createHash } from 'node:crypto';
import type { Device } from '@medplum/fhirtypes';
import { IDENTIFIER_SYSTEMS, PRELIM } from '../kernel/code-systems.ts';
import { refOf } from './check-model.ts';
import { fitsInWords } from './fits-in-words.ts';
import type { Manifest } from './manifest.ts';
import type { ModelState } from './model-release.ts';

/** Codes of `ModelState`. */
export const MODEL_STATE_SYSTEM = `${PRELIM}/CodeSystem/model-state`;

/** Who asks what a model is reads its card here: longer ones are cut. */
const CARD_LENGTH_MAX = 20_000;

/** FHIR ids end at 64 characters. */
const ID_LENGTH_MAX = 64;

/** Id of the Device of a model version: the same on every server, so that a start writes it again without a new version. */
export function deviceId(manifest: Pick<Manifest, 'id' | 'version'>): string {
  const id = `model-${manifest.id}-${manifest.version}`;
  return id.length <= ID_LENGTH_MAX
    ? id
    : `model-${createHash('sha256').update(refOf(manifest)).digest('hex').slice(0, 32)}`;
}

/**
 * A model version as FHIR R4 Device: what Observation.device, DiagnosticReport.resultsInterpreter's Provenance and the SR's
 * observer context point to. Its UID is the one IHE AIR wants to change with every retraining.
 */
export function manifestToDevice(
  manifest: Manifest,
  about: { readonly state?: ModelState; readonly card?: string } = {},
): Device {
  const { state, card } = about;
  const { claims = [] } = manifest;
  return {
    resourceType: 'Device',
    id: deviceId(manifest),
    identifier: [
      { system: IDENTIFIER_SYSTEMS.model, value: refOf(manifest) },
      { system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${manifest.device.uid}` },
    ],
    status: state === 'retired' ? 'inactive' : 'active',
    manufacturer: manifest.device.manufacturer,
    deviceName: [
      { name: manifest.title, type: 'user-friendly-name' },
      { name: manifest.device.model, type: 'model-name' },
    ],
    modelNumber: manifest.id,
    version: [{ value: manifest.version }],
    type: { text: 'Imaging AI model' },
    ...(state
      ? {
          property: [
            {
              type: { text: 'release state' },
              valueCode: [{ coding: [{ system: MODEL_STATE_SYSTEM, code: state }] }],
            },
          ],
        }
      : {}),
    note: [
      { text: `Intended use: ${manifest.intended_use}` },
      { text: `Regulatory status: ${manifest.regulatory_status}` },
      { text: `SHA-256 of the file: ${manifest.file.sha256}` },
      { text: `Fits: ${fitsInWords(manifest).join('; ')}` },
      ...claims.map((claim) => ({ text: `Claimed by its maker: ${claim}` })),
      ...(card ? [{ text: `Card: ${card.slice(0, CARD_LENGTH_MAX)}` }] : []),
    ],
  };
}
