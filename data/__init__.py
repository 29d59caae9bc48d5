"""What flows through Second Sight and where it rests: types, errors, settings, media, store, samples."""
