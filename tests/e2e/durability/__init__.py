"""What survives: kills, cuts, drains, full disks; and that nothing is paid for which nobody wants any more."""
