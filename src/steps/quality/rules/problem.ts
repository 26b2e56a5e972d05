import { type GateRule, refuse } from '../gate-rule.ts';

/**
 * Problems that the EHR lists as active, and reasons for the exam, for which the model was not made (a lung that was taken out). Which one it
 * is is not repeated: it is the patient's.
 */
export const problem: GateRule = (_images, { problems_not: excluded = [] }, { problems }) =>
  excluded.some((code) => problems.has(code))
    ? refuse(
        'problem',
        'a problem or reason for the exam that the model is not made for',
        'none of those the manifest excludes',
      )
    : null;
