#!/usr/bin/env perl
# Refuses calls that throw on what the world does, or that read a number carelessly, in the sources
# named on the command line. One line each:
#   client/run_folder.cc:40: throws; give it a std::error_code
use strict;
use warnings;

my $filesystem = join '|', qw(
  absolute canonical weakly_canonical relative proximate copy copy_file copy_symlink create_directory
  create_directories create_directory_symlink create_hard_link create_symlink current_path equivalent
  exists file_size hard_link_count is_block_file is_character_file is_directory is_empty is_fifo
  is_other is_regular_file is_socket is_symlink last_write_time permissions read_symlink remove
  remove_all rename resize_file space status symlink_status temp_directory_path
  directory_iterator recursive_directory_iterator);
my $parens = qr/(\((?:[^()]++|(?1))*\))/;
my $name = qr/\b(?:std::)?(?:fs|filesystem)::(?:$filesystem)\b(?:\s+\w+)?/;

my @rules = (
  [qr/$name\s*\K$parens/, sub { $_[0] !~ /\b(?:error|ignored)\b/ && 'throws; give it a std::error_code' }],
  [qr/\babsl::ErrnoToStatus\b()/, sub { 'makes a success of an errno of 0; use base/errno_status' }],
  [qr/\bstd::sto(?:i|l|ll|ul|ull|f|d|ld)\b()/, sub { 'throws; use base/user_input' }],
  [qr/\b(?:std::)?(?:ato[ilf]|atoll|strto(?:l|ll|ul|ull|f|d|ld))\b()\s*\(/,
    sub { 'takes trailing junk and nan; use base/user_input' }],
  [qr/\bCLI::(?:Range|IsMember|Number|PositiveNumber|NonNegativeNumber|ExistingFile)\b()/,
    sub { 'takes 010 for 8, and nan; use base/flags' }],
);

my $found = 0;
for my $file (@ARGV) {
  open my $in, '<', $file or die "$file: $!\n";
  my $text = do { local $/; <$in> };
  $text =~ s{//[^\n]*}{}g;
  if ($text =~ /directory_iterator\b/ && $text !~ /\.increment\(/) {
    print "$file: a range-for over a folder throws; use increment(error)\n";
    $found = 1;
  }
  for my $rule (@rules) {
    my ($pattern, $why) = @$rule;
    while ($text =~ /$pattern/g) {
      my $complaint = $why->($1) or next;
      my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
      print "$file:$line: $complaint\n";
      $found = 1;
    }
  }
}
exit $found;
