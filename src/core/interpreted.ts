/**
 * Imported before any schema is made: zod interprets them all. It would otherwise compile each object’s reader when first used
 * (`new Function`), which pays only after thousands of the kind and is a large part of what a start costs.
 */
import { config } from 'zod';

config({ jitless: true });
