import { type GateRule, missing, refuse, warn } from '../gate-rule.ts';

/**
 * The imaging protocol that the site promises for such images: what deviates, by name and number. What the images do not say is no deviation, unless
 * the manifest says what it means.
 */
export const protocol: GateRule = (images, fits, context) => {
  if (fits.protocol === undefined) return null;
  const deviation = context.protocolDeviation(images);
  if (deviation === null) return null;
  const { observed, required, onlyMissing } = deviation;
  if (onlyMissing) {
    const asked = fits.missing?.['protocol'] !== undefined;
    return asked ? missing(fits, 'protocol', observed, required) : null;
  }
  return (fits.protocol === 'warn' ? warn : refuse)('protocol', observed, required);
};
