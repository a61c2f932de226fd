/**
 * zod as all of nixmaker uses it: the functional form, of which only what is used is loaded, with English messages. It interprets its
 * schemas, for it would otherwise compile each object’s reader when first used (`new Function`), which pays only after thousands of the
 * kind and is a large part of what a start costs.
 */
import { en } from 'zod/locales';
import { config } from 'zod/mini';

config({ ...en(), jitless: true });

export * from 'zod/mini';
