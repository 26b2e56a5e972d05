import type { PriorResult } from '../../src/governance/prior-result.ts';
import type { RecordOptions } from './records.ts';

const STARTED = new Date(Date.now() - 22 * 60_000);
const on = (taken: string, value: number, change: number | null, more: Partial<PriorResult> = {}) => ({
  taken: `${taken}T09:30:00Z`,
  value,
  unit: '%',
  change,
  ...more,
});
/** A study with results of earlier ones beside its own: of the same version of the model and of another, a number with a unit, a presence. */
export const WITH_EARLIER_RESULTS: RecordOptions = {
  id: 'course',
  family: 'Lindqvist',
  given: 'Astrid',
  mrn: '20417702',
  gender: 'female',
  birthDate: '1958-07-02',
  exam: 'CT Chest without contrast',
  modality: 'CT',
  model: 'ct-emphysema@1.1.0',
  reason: 'Follow-up of emphysema, more breathless since spring',
  started: STARTED,
  conclusion: 'Preliminary AI result. Not reviewed by a radiologist.',
  findings: [
    {
      label: 'LAA-950',
      value: 12.6,
      unit: ['%', '%'],
      threshold: 6,
      abnormal: true,
      actionable: 3,
      priors: [
        on('2026-01-03', 11.2, 1.4),
        on('2025-06-14', 10.1, 2.5),
        on('2024-11-20', 9.4, 3.2),
        on('2023-10-02', 7.5, null, { caution: 'model-version', modelVersion: '0.9.0' }),
      ],
    },
    {
      label: 'Lung volume',
      value: 5720,
      unit: ['mL', 'mL'],
      priors: [on('2026-01-03', 5600, 120, { unit: 'mL' })],
    },
    {
      label: 'Nodule',
      presence: 'present',
      score: 0.8,
      threshold: 0.5,
      priors: [{ taken: '2026-01-03', presence: 'absent' }],
    },
    { label: 'Mass <b>', presence: 'absent', score: 0.1, threshold: 0.5 },
  ],
};
