import { type GateRule, refuse } from '../gate-rule.ts';
import { tiltOf } from '../stack.ts';

/** Positions of a stack made with a tilted gantry are sheared: their way is not along the normal. Without a place in space it is `gaps`. */
export const tilt: GateRule = (images, { tilt_degrees_max: limit }) => {
  if (limit === undefined || images.length < 2) return null;
  const degrees = tiltOf(images);
  if (degrees === null || degrees <= limit) return null;
  return refuse('tilt', `a gantry tilt of ${degrees.toFixed(1)} degrees`, `at most ${limit} degrees`);
};
