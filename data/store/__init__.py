"""Where the library rests: the Store protocol, and LanceDB behind it."""
