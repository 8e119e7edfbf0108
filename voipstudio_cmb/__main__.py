"""`python -m voipstudio_cmb` is the command line."""

import sys

from .cli.main import main

sys.exit(main())
