"""HER2 membrane scorer: classical image analysis, no trained weights. See README.md beside this file."""
