"""Cell classes after Vandenberghe et al. 2017 (Sci Rep 7:45938): the network and how it is trained."""
